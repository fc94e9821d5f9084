"""A stack whose gateway takes tokens over gRPC, and apps that have one, and no certificate."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc

from keyturn.gateway.v1 import chat_completion_service_pb2 as chat_service_pb
from keyturn.gateway.v1.chat_completion_service_pb2_grpc import ChatCompletionServiceStub
from keyturn_cli.local.free_ports import free_ports
from tests.e2e.breaking import Verdict, verdict
from tests.e2e.clients import DEADLINE_SECONDS, Clients, metadata, new_request_id, parameters
from tests.e2e.token_issuer import StackWithCluster


class StackWithTokenPort(StackWithCluster):
    """A stack whose gateway serves gRPC at `token_port`, too."""

    token_port: int = 0

    def _write_settings(self) -> None:
        super()._write_settings()
        [self.token_port] = free_ports(1)
        file = self.layout.service_settings("gateway-svc")
        address = json.dumps(f"127.0.0.1:{self.token_port}")
        own = file.read_text(encoding="utf-8")
        file.write_text(f"grpc_token_address = {address}\n{own}", encoding="utf-8")


@dataclass(frozen=True)
class TokenApps:
    """Apps of the `stack` of `clients`, and how they call."""

    clients: Clients
    stack: StackWithTokenPort

    @property
    def token(self) -> str:
        """The demo app's token, of the stack's own issuer."""
        return self.clients.env["KEYTURN_APP_TOKEN"]

    @asynccontextmanager
    async def connected(self, token: str | None = None) -> AsyncIterator[grpc.aio.Channel]:
        """Connect as apps do: with *token*, if one is given, as the credentials of each call."""
        credentials = grpc.ssl_channel_credentials(self.stack.layout.ca_file.read_bytes())
        if token is not None:
            credentials = grpc.composite_channel_credentials(
                credentials, grpc.access_token_call_credentials(token)
            )
        options = (("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1))
        async with grpc.aio.secure_channel(
            f"localhost:{self.stack.token_port}", credentials, options=options
        ) as channel:
            yield channel

    async def ask(
        self, key: str, token: str | None, *more: tuple[str, str], request_id: str | None = None
    ) -> Verdict:
        """Ask for a chat completion with *key*."""
        async with self.connected(token) as channel:
            call = ChatCompletionServiceStub(channel).CreateChatCompletion(
                chat_service_pb.CreateChatCompletionRequest(parameters=parameters()),
                timeout=DEADLINE_SECONDS,
                metadata=metadata(key, request_id or new_request_id(), *more),
            )
            return await verdict(self.clients, call)
