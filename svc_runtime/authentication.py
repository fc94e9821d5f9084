"""Prove who calls: by client certificate or by bearer token."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Protocol, TypeAlias
from urllib.parse import unquote

import grpc

from svc_runtime.caller import Caller
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.service_error import CallerUnverifiedError
from svc_runtime.spiffe_id import SpiffeId

ServicerContext: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"  # only its stub is generic

# grpc.ssl_server_credentials takes no TLS version, so the floor is checked per call.
_TLS_VERSION = b"TLSv1.3"
_PEER = re.compile(r"ipv[46]:\[?(?P<address>[^\]]+?)\]?:\d+")
# RFC 6750, section 2.1: the scheme is case-insensitive, the token is b64token.
_BEARER = re.compile(r"(?i:bearer) +(?P<token>[A-Za-z0-9._~+/-]+=*)")


class Authenticator(Protocol):
    """One way of proving who calls."""

    async def authenticate(self, context: ServicerContext) -> Caller:
        """Return the proven caller of the call behind *context*.

        Raises:
            CallerUnverifiedError: The proof is missing, ambiguous or not accepted.
        """


class MTLSAuthenticator:
    """Knows a workload by the one SPIFFE id in its client certificate."""

    def __init__(self, roles_of: Callable[[SpiffeId], frozenset[str]]) -> None:
        """Create an authenticator.

        Args:
            roles_of: What the service's access table knows a workload as.
        """
        self._roles_of = roles_of

    async def authenticate(self, context: ServicerContext) -> Caller:
        """Return the workload at the other end of the connection."""
        properties = _tls_properties(context)
        # Never peer_identities(): it mixes DNS and URI names in one list. gRPC fills
        # peer_spiffe_id only where the certificate's one URI name is a SPIFFE id.
        spiffe_ids = list(properties.get("peer_spiffe_id", ()))
        spiffe_id = _parse(spiffe_ids[0]) if len(spiffe_ids) == 1 else None
        if spiffe_id is None:
            raise CallerUnverifiedError
        return Caller(
            name=str(spiffe_id),
            roles=self._roles_of(spiffe_id),
            source_ip=source_ip_of(context.peer()),
        )


class BearerAuthenticator:
    """Knows a caller by the token in its `authorization` metadata."""

    def __init__(self, verify: Callable[[SecretBytes], Awaitable[Caller]]) -> None:
        """Create an authenticator.

        Args:
            verify: Returns whom a token names, or raises `CallerUnverifiedError`.
        """
        self._verify = verify

    async def authenticate(self, context: ServicerContext) -> Caller:
        """Return whom the call's one bearer token names."""
        _tls_properties(context)
        headers = [v for k, v in context.invocation_metadata() or () if k == "authorization"]
        match = _BEARER.fullmatch(str(headers[0])) if len(headers) == 1 else None
        if match is None:
            raise CallerUnverifiedError
        caller = await self._verify(SecretBytes(match["token"].encode()))
        return replace(caller, source_ip=source_ip_of(context.peer()))


def source_ip_of(peer: str) -> str:
    """Return the IP address in *peer*, gRPC's name of the other end; empty if it has none."""
    match = _PEER.fullmatch(unquote(peer))
    return match["address"] if match else ""


def _tls_properties(context: ServicerContext) -> Mapping[str, Iterable[bytes]]:
    """Return what gRPC knows of the peer, read once: gRPC copies all of it, certificates included.

    Raises:
        CallerUnverifiedError: The connection is not of TLS 1.3.
    """
    properties = context.auth_context()
    if list(properties.get("ssl_tls_version", ())) != [_TLS_VERSION]:
        raise CallerUnverifiedError
    return properties


def _parse(unverified_id: bytes) -> SpiffeId | None:
    try:
        return SpiffeId.parse(unverified_id.decode())
    except ValueError:
        return None
