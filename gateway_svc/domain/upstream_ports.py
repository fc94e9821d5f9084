"""What calls need from OpenAI over HTTP, as contracts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from gateway_svc.domain.endpoint import Endpoint
from gateway_svc.domain.headers import Headers
from gateway_svc.domain.usage import Usage
from svc_runtime.secret_bytes import SecretBytes


@dataclass(frozen=True, slots=True)
class StreamedBody:
    """A request's body that passes through in pieces.

    Attributes:
        pieces: To be read once. Raises `InvalidFieldError` when the app breaks it off.
        length: Bytes in all, if the app said so.
    """

    pieces: AsyncIterator[bytes] = field(repr=False)
    length: int | None = None


@dataclass(frozen=True, slots=True)
class UpstreamRequest:
    """A request to OpenAI, without its credential.

    Attributes:
        base_url: Where at OpenAI, such as `https://eu.api.openai.com/v1`; empty for the
            deployment's own choice.
        model: The model that it names, for those who look on; empty for none.
        lease_id: The lease of the key, for the same.
    """

    method: str
    endpoint: Endpoint
    query: str
    headers: Headers
    body: bytes | StreamedBody = field(repr=False)
    base_url: str = ""
    model: str = ""
    lease_id: str = ""


class AnswerWatch(Protocol):
    """Looks on while an answer passes, and changes nothing. Raises nothing."""

    def part(self, plain: bytes) -> None:
        """See the next part of the body, decoded; of an error's body none is shown."""

    def usage(self, usage: Usage) -> None:
        """See what the request has taken, once the answer has passed or broken off."""


@dataclass(frozen=True, slots=True)
class UpstreamAnswer:
    """OpenAI's answer, as far as it has come.

    Attributes:
        headers: All of them, as they came.
        body: The pieces of the body as they come. Raises `UpstreamUnavailableError` or
            `UpstreamTimedOutError` when it breaks off.
        watch: Is shown the answer; None when nobody looks on.
    """

    status: int
    headers: Headers
    body: AsyncIterator[bytes] = field(repr=False)
    watch: AnswerWatch | None = None


class Upstream(Protocol):
    """OpenAI."""

    def send(
        self, request: UpstreamRequest, api_key: SecretBytes, timeout_seconds: float
    ) -> AbstractAsyncContextManager[UpstreamAnswer]:
        """Send *request* with *api_key* and enter with the head of the answer.

        The plaintext is kept no longer than until the request's headers are written. Leaving the
        context before the body's end closes the connection.

        Raises:
            UpstreamNotAllowedError: The request's base URL is none of the deployment's.
            UpstreamUnavailableError: OpenAI cannot be reached.
            UpstreamTimedOutError: It did not answer within *timeout_seconds*.
            InvalidFieldError: The app broke the streamed body off, or it breaks a rule.
        """
