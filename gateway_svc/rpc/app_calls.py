"""Makes an `AppCall` of a gRPC call: who calls, with which key, until when."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Final

from gateway_svc.domain.calls import app_of, shaved
from gateway_svc.domain.endpoint import Endpoint
from gateway_svc.domain.headers import Headers
from gateway_svc.domain.key_name import FIELD as KEY_FIELD
from gateway_svc.domain.key_name import KeyChoice
from gateway_svc.domain.owner_token import FIELD as OWNER_FIELD
from gateway_svc.domain.owner_token import owner_token_of
from gateway_svc.domain.relay import AppCall, Exchange, Relay
from gateway_svc.domain.upstream_ports import StreamedBody
from gateway_svc.domain.usage import UsageSource
from svc_runtime.authentication import ServicerContext
from svc_runtime.call_context import annotate, current_call
from svc_runtime.caller import Caller
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.service_error import InvalidFieldError

_AUTHORIZATION: Final = "authorization"
_BEARER: Final = "bearer "
_INPUT_TOKENS: Final = "x-keyturn-input-tokens"
_OUTPUT_TOKENS: Final = "x-keyturn-output-tokens"
_MAX_TOKEN_CHARACTERS: Final = 16 * 1024


class AppCalls:
    """Knows the operator's defaults."""

    def __init__(self, key_choice: KeyChoice) -> None:
        self._key_choice = key_choice

    def make(
        self,
        context: ServicerContext,
        *,
        method: str,
        endpoint: Endpoint,
        query: str = "",
        headers: Headers = (),
        body: bytes | StreamedBody,
    ) -> AppCall:
        """Return the call that *context* and the given request are.

        Raises:
            CallerUnverifiedError: Nobody was verified.
            InvalidFieldError: The call names no key, or not as it should.
        """
        call = current_call()
        metadata = _text_metadata(context)
        app = app_of(call.caller)
        key = self._key_choice.choose(app, _single(metadata, KEY_FIELD))
        annotate(key=str(key), app=str(app), endpoint=endpoint.name)
        return AppCall(
            call.request_id,
            app,
            key,
            call.caller.source_ip if call.caller else "",
            shaved(context.time_remaining() or 0.0),
            method,
            endpoint,
            query,
            headers,
            body,
            _app_token(call.caller, _single(metadata, _AUTHORIZATION)),
            owner_token_of(_single(metadata, OWNER_FIELD)),
        )


@asynccontextmanager
async def relayed(relay: Relay, context: ServicerContext, call: AppCall) -> AsyncIterator[Exchange]:
    """Relay *call*; enter with the head of OpenAI's answer.

    The receipt goes out with the initial metadata at once, and again with the trailing metadata,
    where the tokens that OpenAI reported join it, however the call ends.
    """
    async with relay.exchange(call) as exchange:
        await _send_receipt(context, exchange)
        try:
            yield exchange
        finally:
            usage = exchange.usage
            if usage.source is UsageSource.REPORTED:
                _add_to_trailer(
                    context,
                    (_INPUT_TOKENS, str(usage.input_tokens)),
                    (_OUTPUT_TOKENS, str(usage.output_tokens)),
                )


async def _send_receipt(context: ServicerContext, exchange: Exchange) -> None:
    receipt = exchange.receipt
    annotate(
        lease=receipt.lease_id,
        grant=receipt.grant,
        key_version=receipt.key_version,
        http_status=exchange.status,
        openai_request_id=exchange.openai_request_id,
    )
    headers = receipt.headers()
    _add_to_trailer(context, *headers)
    await context.send_initial_metadata(headers)


def _add_to_trailer(context: ServicerContext, *entries: tuple[str, str]) -> None:
    context.set_trailing_metadata((*(context.trailing_metadata() or ()), *entries))


def _text_metadata(context: ServicerContext) -> list[tuple[str, str]]:
    metadata: Iterable[tuple[str, str | bytes]] = context.invocation_metadata() or ()
    return [(name, value) for name, value in metadata if isinstance(value, str)]


def _single(metadata: list[tuple[str, str]], name: str) -> str | None:
    values = [value for key, value in metadata if key == name]
    if len(values) > 1:
        raise InvalidFieldError(name, "must be given once")
    return values[0] if values else None


def _app_token(caller: Caller | None, authorization: str | None) -> SecretBytes | None:
    """Return the app's own token, as proof end to end: what it was known by, or sent beside it."""
    if caller is not None and caller.token is not None:
        return caller.token
    if not authorization:
        return None
    if not authorization.lower().startswith(_BEARER) or len(authorization) > _MAX_TOKEN_CHARACTERS:
        raise InvalidFieldError(_AUTHORIZATION, "must be a bearer token of at most 16 KiB")
    token = authorization[len(_BEARER) :].strip()
    if not token or not token.isascii():
        raise InvalidFieldError(_AUTHORIZATION, "must be a bearer token of at most 16 KiB")
    return SecretBytes(token.encode("ascii"))
