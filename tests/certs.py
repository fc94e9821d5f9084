"""Throw-away certificate authorities, and the files of a TLS endpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from svc_runtime.tls_files import TLSFiles

_HOUR = timedelta(hours=1)
_LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key, PEM."""

    certificate: bytes
    key: bytes

    @property
    def serial(self) -> int:
        return serial_of(self.certificate)


class Authority:
    """A CA of its own, good for as long as the test runs."""

    def __init__(self, name: str = "test CA") -> None:
        self._name = _name(name)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._certificate = (
            self._builder(self._name, self._key, datetime.now(UTC) + 24 * _HOUR)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )

    @cached_property
    def pem(self) -> bytes:
        """The CA's certificate."""
        return self._certificate.public_bytes(Encoding.PEM)

    def issue(
        self, *, uris: Sequence[str] = (), dns: Sequence[str] = (), end: datetime | None = None
    ) -> Pair:
        """Issue a certificate with these names, valid until *end*."""
        key = ec.generate_private_key(ec.SECP256R1())
        names: list[x509.GeneralName] = [
            *map(x509.UniformResourceIdentifier, uris),
            *map(x509.DNSName, dns),
            *([x509.IPAddress(ip_address(_LOOPBACK))] if dns else []),
        ]
        builder = self._builder(_name("leaf"), key, end or datetime.now(UTC) + _HOUR)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        return Pair(certificate.public_bytes(Encoding.PEM), _pem_of(key))

    def server(self) -> Pair:
        """Issue a certificate for a server on loopback."""
        return self.issue(dns=["localhost"])

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, end: datetime
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(end - 48 * _HOUR)
            .not_valid_after(end)
        )


def short_key_pair(end: datetime) -> Pair:
    """Return a pair whose halves belong together, and which OpenSSL does not take."""
    key = rsa.generate_private_key(65537, 1024)  # noqa: S505 - the short key is the point
    name = _name("short")
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(end - 48 * _HOUR)
        .not_valid_after(end)
        .sign(key, hashes.SHA256())
    )
    return Pair(certificate.public_bytes(Encoding.PEM), _pem_of(key))


def write(folder: Path, pair: Pair, ca: bytes) -> TLSFiles:
    """Write the three files of a TLS endpoint into *folder*, each at once."""
    files = TLSFiles(folder / "tls.pem", folder / "tls.key", folder / "ca.pem")
    replace(files.key, pair.key)
    replace(files.certificate, pair.certificate)
    replace(files.ca, ca)
    return files


def replace(file: Path, content: bytes) -> None:
    """Replace *file* as a platform does: by another one of the same name."""
    new = file.with_suffix(".new")
    new.write_bytes(content)
    new.rename(file)


def serial_of(pem: bytes) -> int:
    """Return the serial number of the first certificate in *pem*."""
    return x509.load_pem_x509_certificates(pem)[0].serial_number


def _pem_of(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])
