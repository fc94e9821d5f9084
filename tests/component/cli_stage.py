"""Where the command plays: certificates, both services as fakes behind real TLS, an environment."""

# ruff: noqa: N802 - the names of RPC methods are fixed by the proto

from __future__ import annotations

import base64
import ipaddress
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from keyturn.gateway.v1 import chat_completion_pb2 as chat_pb
from keyturn.gateway.v1 import chat_completion_service_pb2 as completions_pb
from keyturn.gateway.v1 import chat_completion_service_pb2_grpc as completions_grpc
from keyturn.keyvault.v1 import grant_request_service_pb2_grpc as requests_grpc
from keyturn.keyvault.v1 import grant_service_pb2_grpc as grants_grpc
from keyturn.keyvault.v1 import key_service_pb2_grpc as keys_grpc
from keyturn.keyvault.v1 import operator_service_pb2_grpc as operators_grpc
from keyturn.keyvault.v1 import owner_service_pb2_grpc as owners_grpc
from keyturn.keyvault.v1 import usage_service_pb2_grpc as usage_grpc
from tests.component.fake_grant_port import FakeGrantPort
from tests.component.fake_operator_port import FakeOperatorPort
from tests.component.fake_usage_port import FakeUsagePort

APP = "spiffe://example.org/app/demo"
GRANT = "users/alice/keys/openai/grants/0123456789abcdef"
LEASE = "0123456789abcdef0123456789abcdef"


def unsigned_token(name: str, expire_time: datetime) -> str:
    """Return a JWT that only display code believes."""
    claims = {"preferred_username": name, "exp": int(expire_time.timestamp())}
    parts = ({"alg": "none"}, claims)
    encoded = [base64.urlsafe_b64encode(json.dumps(p).encode()).decode().rstrip("=") for p in parts]
    return ".".join([*encoded, "c2lnbmF0dXJl"])


class FakeServices(
    FakeGrantPort,
    FakeOperatorPort,
    FakeUsagePort,
    completions_grpc.ChatCompletionServiceServicer,
):
    """Both services: they answer from memory, or with `failure` and its status code."""

    def _receipt(self) -> tuple[tuple[str, str], ...]:
        metadata = self.calls[-1].metadata
        return (
            ("x-keyturn-request-id", metadata["x-keyturn-request-id"]),
            ("x-keyturn-key", metadata.get("x-keyturn-key", "users/default/keys/openai")),
            ("x-keyturn-key-version", "7"),
            ("x-keyturn-grant", GRANT),
            ("x-keyturn-lease", LEASE),
        )

    def CreateChatCompletion(
        self, request: completions_pb.CreateChatCompletionRequest, context: grpc.ServicerContext
    ) -> completions_pb.CreateChatCompletionResponse:
        self.enter(request, context)
        context.send_initial_metadata(self._receipt())
        said = chat_pb.ChatMessage(role="assistant", content="Hello there.")
        choices = [chat_pb.ChatChoice(message=said)]
        completion = chat_pb.ChatCompletion(choices=choices)
        return completions_pb.CreateChatCompletionResponse(completion=completion)

    def StreamChatCompletion(
        self, request: completions_pb.StreamChatCompletionRequest, context: grpc.ServicerContext
    ) -> Iterator[completions_pb.StreamChatCompletionResponse]:
        self.enter(request, context)
        context.send_initial_metadata(self._receipt())
        for piece in ("Hello", " there", "."):
            delta = chat_pb.ChatMessage(content=piece)
            chunk = chat_pb.ChatCompletionChunk(choices=[chat_pb.ChatChunkChoice(delta=delta)])
            yield completions_pb.StreamChatCompletionResponse(chunk=chunk)
        if self.fails_after_pieces:
            self.fail(context)


class CertificateMaker:
    """A CA of one test run, and what it signs, as PEM files in a folder."""

    def __init__(self, folder: Path, now: datetime) -> None:
        self._folder = folder
        self._now = now
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stage CA")])
        certificate = self._builder(self._name, self._key.public_key(), timedelta(days=2))
        extension = x509.BasicConstraints(ca=True, path_length=0)
        certificate = certificate.add_extension(extension, critical=True)
        self.ca_file = folder / "ca.pem"
        self.ca_file.write_bytes(_pem(certificate.sign(self._key, hashes.SHA256())))

    def issue(
        self, name: str, san: list[x509.GeneralName], lifetime: timedelta = timedelta(days=1)
    ) -> tuple[Path, Path]:
        """Return the certificate and key files of *name*; the key's mode is 0600."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = self._builder(subject, key.public_key(), lifetime)
        builder = builder.add_extension(x509.SubjectAlternativeName(san), critical=False)
        certificate_file, key_file = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        certificate_file.write_bytes(_pem(builder.sign(self._key, hashes.SHA256())))
        key_file.touch(mode=0o600)
        key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return certificate_file, key_file

    def _builder(
        self, subject: x509.Name, public_key: ec.EllipticCurvePublicKey, lifetime: timedelta
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now - timedelta(days=3))
            .not_valid_after(self._now + lifetime)
        )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


@contextmanager
def serving(services: FakeServices, certificates: CertificateMaker) -> Iterator[tuple[str, str]]:
    """Serve *services*; yield the addresses of the owner port and of the gateway port."""
    certificate, key = certificates.issue(
        "server", [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    )
    pair = [(key.read_bytes(), certificate.read_bytes())]
    ca = certificates.ca_file.read_bytes()
    server = grpc.server(ThreadPoolExecutor(4))
    keys_grpc.add_KeyServiceServicer_to_server(services, server)
    grants_grpc.add_GrantServiceServicer_to_server(services, server)
    requests_grpc.add_GrantRequestServiceServicer_to_server(services, server)
    owners_grpc.add_OwnerServiceServicer_to_server(services, server)
    operators_grpc.add_OperatorServiceServicer_to_server(services, server)
    usage_grpc.add_UsageServiceServicer_to_server(services, server)
    completions_grpc.add_ChatCompletionServiceServicer_to_server(services, server)
    tls = grpc.ssl_server_credentials(pair)
    mtls = grpc.ssl_server_credentials(pair, ca, require_client_auth=True)
    owner_port = server.add_secure_port("127.0.0.1:0", tls)
    gateway_port = server.add_secure_port("127.0.0.1:0", mtls)
    server.start()
    try:
        yield f"127.0.0.1:{owner_port}", f"127.0.0.1:{gateway_port}"
    finally:
        server.stop(None).wait()


def client_environment(
    folder: Path, certificates: CertificateMaker, owner_port: str, gateway_port: str
) -> dict[str, str]:
    """Write `client.env` into *folder* and return the environment that names it."""
    certificate, key = certificates.issue("demo", [x509.UniformResourceIdentifier(APP)])
    values = {
        "KEYTURN_GRPC": gateway_port,
        "KEYTURN_KEYS_GRPC": owner_port,
        "KEYTURN_CA": str(certificates.ca_file),
        "KEYTURN_CERT": str(certificate),
        "KEYTURN_CERT_KEY": str(key),
        "KEYTURN_OWNER_TOKEN": unsigned_token("alice", datetime.now(UTC) + timedelta(hours=1)),
        "KEYTURN_KEY": "users/alice/keys/openai",
    }
    env_file = folder / "client.env"
    env_file.touch(mode=0o600)
    env_file.write_text("".join(f"export {name}='{value}'\n" for name, value in values.items()))
    return {"KEYTURN_CLIENT_ENV": str(env_file), "XDG_STATE_HOME": str(folder / "state")}
