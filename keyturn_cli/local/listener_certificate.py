"""The certificate of the local OpenBao listener, and the throw-away authority that signs it.

OpenBao's own PKI cannot make it: the listener needs a certificate before OpenBao runs.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from keyturn_cli.local.private_file import write_private_file
from svc_runtime.clock import Clock

LIFETIME = timedelta(days=365)
RENEW_BEFORE_EXPIRY = timedelta(days=30)  # longer than anybody keeps one local stack running
_CLOCK_SKEW = timedelta(minutes=5)  # a virtual machine's clock may lag behind its host's

_KEY_USAGE_OF_NOTHING = {
    "digital_signature": False,
    "content_commitment": False,
    "key_encipherment": False,
    "data_encipherment": False,
    "key_agreement": False,
    "key_cert_sign": False,
    "crl_sign": False,
    "encipher_only": False,
    "decipher_only": False,
}


@dataclass(frozen=True, slots=True)
class ListenerCertificate:
    """The files of a TLS listener on `localhost` and 127.0.0.1, all PEM.

    Attributes:
        ca_file: What clients trust. Its private key was never written anywhere.
        certificate_file: The listener's certificate.
        key_file: The listener's private key, mode 0600.
    """

    ca_file: Path
    certificate_file: Path
    key_file: Path


def ensure_listener_certificate(folder: Path, clock: Clock) -> ListenerCertificate:
    """Return the listener's certificate in *folder*, made anew if it is not good for 30 days more.

    Args:
        folder: Where the three files are; made if missing.
        clock: Decides validity.
    """
    files = ListenerCertificate(
        ca_file=folder / "ca.pem",
        certificate_file=folder / "listener.pem",
        key_file=folder / "listener-key.pem",
    )
    if not _is_good_until(files, clock.now() + RENEW_BEFORE_EXPIRY):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _issue(files, clock.now())
    return files


def _is_good_until(files: ListenerCertificate, end: datetime) -> bool:
    try:
        authority = x509.load_pem_x509_certificate(files.ca_file.read_bytes())
        listener = x509.load_pem_x509_certificate(files.certificate_file.read_bytes())
        key = serialization.load_pem_private_key(files.key_file.read_bytes(), password=None)
        listener.verify_directly_issued_by(authority)
    except (FileNotFoundError, ValueError, InvalidSignature):
        # Missing, cut short, or of two different runs.
        return False
    return key.public_key() == listener.public_key() and all(
        certificate.not_valid_after_utc > end for certificate in (authority, listener)
    )


def _issue(files: ListenerCertificate, now: datetime) -> None:
    authority_key = ec.generate_private_key(ec.SECP256R1())
    listener_key = ec.generate_private_key(ec.SECP256R1())
    authority_name = _name("Keyturn local stack authority")
    authority_public = x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key())

    authority = (
        _builder(authority_name, authority_name, authority_key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.KeyUsage(**{**_KEY_USAGE_OF_NOTHING, "key_cert_sign": True}), critical=True
        )
        .sign(authority_key, hashes.SHA256())
    )
    listener = (
        _builder(
            _name("OpenBao of the local stack"), authority_name, listener_key.public_key(), now
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(**{**_KEY_USAGE_OF_NOTHING, "digital_signature": True}), critical=True
        )
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.SubjectAlternativeName(
                [
                    x509.DNSName("localhost"),
                    x509.IPAddress(ipaddress.IPv4Address("127.0.0.1")),
                ]
            ),
            critical=False,
        )
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(authority_public),
            critical=False,
        )
        .sign(authority_key, hashes.SHA256())
    )

    write_private_file(
        files.key_file,
        listener_key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )
    write_private_file(files.certificate_file, listener.public_bytes(serialization.Encoding.PEM))
    write_private_file(files.ca_file, authority.public_bytes(serialization.Encoding.PEM))


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey, now: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + LIFETIME)
        # RFC 5280 asks for it, and Python 3.13's TLS refuses an authority without it.
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )
