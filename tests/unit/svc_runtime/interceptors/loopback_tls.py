"""Throw-away certificates for servers and clients on loopback."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from functools import cache

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

APP = "spiffe://example.org/app/billing"


@cache
def _authority() -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    return key, _builder("test CA", key, is_authority=True).sign(key, hashes.SHA256())


def _builder(
    name: str, key: ec.EllipticCurvePrivateKey, *, is_authority: bool
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(_name("test CA"))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])


def ca_pem() -> bytes:
    return _authority()[1].public_bytes(Encoding.PEM)


@cache
def issue(uris: Sequence[str] = (), dns: Sequence[str] = ()) -> tuple[bytes, bytes]:
    """Return a key and a certificate, both PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    names = [*map(x509.UniformResourceIdentifier, uris), *map(x509.DNSName, dns)]
    builder = _builder("leaf", key, is_authority=False)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    certificate = builder.sign(_authority()[0], hashes.SHA256())
    return (
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        certificate.public_bytes(Encoding.PEM),
    )


def server_credentials(*, needs_client_certificate: bool = True) -> grpc.ServerCredentials:
    return grpc.ssl_server_credentials(
        [issue(dns=("localhost",))],
        ca_pem() if needs_client_certificate else None,
        require_client_auth=needs_client_certificate,
    )


def channel_to(
    port: int, uris: Sequence[str] = (APP,), dns: Sequence[str] = ()
) -> grpc.aio.Channel:
    credentials = grpc.ssl_channel_credentials(ca_pem(), *issue(tuple(uris), tuple(dns)))
    return grpc.aio.secure_channel(f"localhost:{port}", credentials)


def channel_without_certificate(port: int) -> grpc.aio.Channel:
    credentials = grpc.ssl_channel_credentials(ca_pem())
    return grpc.aio.secure_channel(f"localhost:{port}", credentials)
