"""Who can call where: ports and their RPCs, and calls by whoever has, or forges, a proof."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from tempfile import NamedTemporaryFile

import aiohttp
import grpc
from google.protobuf.descriptor import MethodDescriptor

from keyturn.gateway.v1 import chat_completion_service_pb2, pass_through_service_pb2
from keyturn.keyvault.v1 import (
    grant_request_service_pb2,
    grant_service_pb2,
    key_lease_service_pb2,
    key_service_pb2,
    key_verification_service_pb2,
    operator_service_pb2,
    owner_service_pb2,
    usage_service_pb2,
)
from tests.certs import Pair
from tests.e2e.breaking import Verdict, logged, verdict
from tests.e2e.clients import DEADLINE_SECONDS, Clients, new_request_id

Proof = tuple[tuple[str, str], ...]

_FILES = {
    "gateway": (chat_completion_service_pb2, pass_through_service_pb2),
    "owner": (
        key_service_pb2,
        grant_service_pb2,
        grant_request_service_pb2,
        usage_service_pb2,
        owner_service_pb2,
        operator_service_pb2,
    ),
    "lease": (key_lease_service_pb2, key_verification_service_pb2),
}
RPCS: dict[str, list[MethodDescriptor]] = {
    side: [
        method
        for file in files
        for service in file.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    ]
    for side, files in _FILES.items()
}
PORTS = {
    "gateway": ("gateway", "grpc", "gateway-svc"),
    "owner": ("keyvault", "owner", "keyvault-svc"),
    "lease": ("keyvault", "gateway", "keyvault-svc"),
}
"""By whose RPCs a port serves: service and name of the port, and the process that logs."""

# What an empty request gets from whoever looks at it: the caller was let in.
LET_IN: Verdict = ("INVALID_ARGUMENT", "INVALID_ARGUMENT")
# A poll has nothing to say: it gets its answer, and leaves no record when there is nothing to do.
POLL = "keyturn.keyvault.v1.KeyVerificationService.ClaimVerification"
POLLED: Verdict = ("OK", None)
# Where nothing is required, an empty request is answered: by the text, and by the owner's role.
COMPLETE_WHEN_EMPTY: dict[str, Verdict] = {
    "keyturn.keyvault.v1.GrantService.GetConsentText": ("OK", None),
    "keyturn.keyvault.v1.OperatorService.GetControls": ("PERMISSION_DENIED", "NOT_THE_OWNER"),
}
NOT_HERE: Verdict = ("UNIMPLEMENTED", None)
NO_HANDSHAKE: Verdict = ("UNAVAILABLE", None)
UNVERIFIED: Verdict = ("UNAUTHENTICATED", "CALLER_UNVERIFIED")
NOT_ALLOWED: Verdict = ("PERMISSION_DENIED", "CALLER_NOT_ALLOWED")
PROOF_INVALID: Verdict = ("UNAUTHENTICATED", "APP_PROOF_INVALID")
UNVERIFIED_HTTP: Verdict = (401, "CALLER_UNVERIFIED")


def pair_of(clients: Clients, name: str) -> Pair:
    """Return the certificate that the stack gave to *name*."""
    certificate, key = clients.stack.layout.certificate(name)
    return Pair(certificate.read_bytes(), key.read_bytes())


@asynccontextmanager
async def connect(
    clients: Clients, side: str, pair: Pair | None
) -> AsyncIterator[grpc.aio.Channel]:
    """Connect to a port of `PORTS` with *pair*, or without a certificate."""
    service, port, _ = PORTS[side]
    credentials = grpc.ssl_channel_credentials(
        clients.stack.layout.ca_file.read_bytes(),
        pair.key if pair else None,
        pair.certificate if pair else None,
    )
    options = (("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1))
    target = f"127.0.0.1:{clients.port(service, port)}"
    async with grpc.aio.secure_channel(target, credentials, options=options) as channel:
        yield channel


async def call_empty(
    clients: Clients, channel: grpc.aio.Channel, method: MethodDescriptor, entries: Proof
) -> Verdict:
    """Send an empty request to *method*."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    if not method.server_streaming:
        unary = channel.unary_unary(path, bytes, bytes)
        return await verdict(clients, unary(b"", timeout=DEADLINE_SECONDS, metadata=entries))
    stream = channel.unary_stream(path, bytes, bytes)
    return await verdict(clients, stream(b"", timeout=DEADLINE_SECONDS, metadata=entries).read())


def bearer(token: str) -> Proof:
    """Return the metadata that brings *token*."""
    return (("authorization", f"Bearer {token}"),)


async def is_recorded_once(
    clients: Clients, process: str, request_id: str, *, event: str = "rpc"
) -> bool:
    """Wait for the audit record of a call, and tell whether it is the only one."""
    return len(await logged(clients, process, request_id=request_id, event=event)) == 1


async def get_models(
    clients: Clients,
    *,
    pair: Pair | None = None,
    headers: Mapping[str, str] | None = None,
    request_id: str | None = None,
) -> Verdict:
    """List the models over HTTP, with a certificate, with *headers*, or with both."""
    tls = ssl.create_default_context(cafile=clients.stack.layout.ca_file)
    if pair is not None:
        with NamedTemporaryFile() as file:
            file.write(pair.key + b"\n" + pair.certificate)
            file.flush()
            tls.load_cert_chain(file.name)
    url = f"https://127.0.0.1:{clients.port('gateway', 'http')}/v1/models"
    entries = {**(headers or {}), "x-keyturn-request-id": request_id or new_request_id()}
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls)) as http,
        http.get(url, headers=entries) as response,
    ):
        answer = await response.json()
        clients.keep(dict(response.headers), answer)
    return (response.status, None if response.ok else answer["error"]["code"])
