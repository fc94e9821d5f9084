"""Asking a model through the gateway, as an app does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, Self

import grpc

from keyturn.gateway.v1 import chat_completion_pb2 as chat_pb
from keyturn.gateway.v1 import chat_completion_service_pb2 as completions_pb
from keyturn.gateway.v1.chat_completion_service_pb2_grpc import ChatCompletionServiceStub
from keyturn_cli.call_failure import command_error_of
from keyturn_cli.client_settings import ClientSettings
from keyturn_cli.service_channels import REQUEST_ID_KEY, CallOptions, gateway_channel

_KEY_ENTRY: Final = "x-keyturn-key"
_VERSION_ENTRY: Final = "x-keyturn-key-version"
_GRANT_ENTRY: Final = "x-keyturn-grant"
_LEASE_ENTRY: Final = "x-keyturn-lease"


@dataclass(frozen=True, slots=True)
class ChatReceipt:
    """Whose key served a call, as the gateway says in the metadata of its answer."""

    key: str
    key_version: str
    grant: str
    lease: str
    request_id: str

    @classmethod
    def from_metadata(cls, metadata: grpc.aio.Metadata) -> Self:
        """Read the receipt out of *metadata*; what it lacks is empty."""

        def text(name: str) -> str:
            value = metadata.get(name)
            return value if isinstance(value, str) else ""

        return cls(
            text(_KEY_ENTRY),
            text(_VERSION_ENTRY),
            text(_GRANT_ENTRY),
            text(_LEASE_ENTRY),
            text(REQUEST_ID_KEY),
        )

    def fields(self) -> list[tuple[str, str]]:
        """Return the receipt as names and values, for printing."""
        return [
            ("key", self.key),
            ("key version", self.key_version),
            ("grant", self.grant),
            ("lease", self.lease),
            ("request id", self.request_id),
        ]


class ChatAPI:
    """One question, asked once. The receipt is there as soon as the first piece is."""

    def __init__(
        self, channel: grpc.aio.Channel, options: CallOptions, key: str | None, address: str
    ) -> None:
        self._stub = ChatCompletionServiceStub(channel)
        self._options = options
        self._metadata = [(REQUEST_ID_KEY, options.request_id)]
        if key:
            self._metadata.append((_KEY_ENTRY, key))
        self._service = f"the gateway at {address}"
        self.receipt: ChatReceipt | None = None

    async def whole(self, model: str, message: str) -> str:
        """Return the answer to *message* when it is complete.

        Raises:
            CommandError: The gateway or OpenAI refused, or could not be reached.
        """
        call = self._stub.CreateChatCompletion(
            completions_pb.CreateChatCompletionRequest(parameters=_parameters(model, message)),
            timeout=self._options.timeout_seconds,
            metadata=tuple(self._metadata),
        )
        try:
            response = await call
            self.receipt = ChatReceipt.from_metadata(await call.initial_metadata())
        except grpc.aio.AioRpcError as error:
            raise self._failure(error) from error
        return "".join(_said(choice.message) for choice in response.completion.choices)

    async def pieces(self, model: str, message: str) -> AsyncIterator[str]:
        """Yield the answer to *message* as it is made.

        Raises:
            CommandError: As `whole`; it can come after some pieces.
        """
        call = self._stub.StreamChatCompletion(
            completions_pb.StreamChatCompletionRequest(parameters=_parameters(model, message)),
            timeout=self._options.timeout_seconds,
            metadata=tuple(self._metadata),
        )
        try:
            async for response in call:
                if self.receipt is None:
                    self.receipt = ChatReceipt.from_metadata(await call.initial_metadata())
                for choice in response.chunk.choices:
                    yield _said(choice.delta)
        except grpc.aio.AioRpcError as error:
            raise self._failure(error) from error

    async def send_nothing(self) -> None:
        """Send an empty request, which a gateway refuses before it asks anybody.

        Raises:
            CommandError: What the gateway says to that.
        """
        try:
            await self._stub.CreateChatCompletion(
                completions_pb.CreateChatCompletionRequest(),
                timeout=self._options.timeout_seconds,
                metadata=tuple(self._metadata),
            )
        except grpc.aio.AioRpcError as error:
            raise self._failure(error) from error

    def _failure(self, error: grpc.aio.AioRpcError) -> Exception:
        return command_error_of(error, service=self._service, request_id=self._options.request_id)


@asynccontextmanager
async def chat_api(
    settings: ClientSettings, options: CallOptions, key: str | None
) -> AsyncIterator[ChatAPI]:
    """Connect to the gateway; calls name *key*, or leave it to the gateway's default."""
    async with gateway_channel(settings) as channel:
        yield ChatAPI(channel, options, key, settings.require("KEYTURN_GRPC"))


def _parameters(model: str, message: str) -> completions_pb.ChatCompletionParameters:
    question = chat_pb.ChatMessage(role="user", content=message)
    return completions_pb.ChatCompletionParameters(model=model, messages=[question])


def _said(message: chat_pb.ChatMessage) -> str:
    """Return what the model said, or why it declined."""
    return message.content or message.refusal
