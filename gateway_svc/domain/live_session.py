"""A WebSocket between an app and OpenAI: messages pass both ways until one side closes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Final

from gateway_svc.domain.headers import Headers
from gateway_svc.domain.key_echo import without_key_echo
from gateway_svc.domain.lease_ports import LeaseOutcome
from gateway_svc.domain.live_models import Allow, LiveModels
from gateway_svc.domain.live_ports import LiveClose, LiveSide
from gateway_svc.domain.usage import Usage, usage_of_event
from svc_runtime.service_error import ServiceError, ServiceStoppingError

_NORMAL: Final = 1000
_GOING_AWAY: Final = 1001
_REFUSED: Final = 1008
_INTERNAL: Final = 1011
_TRY_AGAIN: Final = 1013
_BAD_GATEWAY: Final = 1014
_NO_CODE: Final = 1005  # what a side that closed without a code is said to have closed with
_SENDABLE: Final = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015), *range(3000, 5000)})
_MAX_REASON_BYTES: Final = 123

_CHECK_SECONDS: Final = 30.0
_MAX_SECONDS: Final = 65 * 60.0  # OpenAI ends its sessions after 60 minutes
_MAX_OUTAGES: Final = 3

_TIME_IS_UP: Final = LiveClose(_GOING_AWAY, "TIME_IS_UP")
_STOPPED: Final = LiveClose(_GOING_AWAY)
_STOPPING: Final = LiveClose(_GOING_AWAY, ServiceStoppingError.reason)
_FAULT: Final = LiveClose(_INTERNAL, "INTERNAL")
_KEY_REFUSED: Final = "invalid_api_key"


class UpstreamRefusedLiveError(Exception):
    """OpenAI answered the handshake of a WebSocket with an HTTP answer of another kind."""

    def __init__(self, status: int, headers: Headers, body: bytes) -> None:
        """Keep OpenAI's answer, whose *body* may still hold an echo of the key."""
        super().__init__(status)
        self.status = status
        self.headers = headers
        self.body = body


@dataclass(frozen=True, slots=True)
class LiveEnd:
    """How a session ends.

    Attributes:
        to_app: What the app's side is closed with.
        to_openai: What OpenAI's side is closed with.
        outcome: What the lease is settled with.
        own_reason: Why the gateway ended it; empty when a side did.
    """

    to_app: LiveClose
    to_openai: LiveClose
    outcome: LeaseOutcome
    own_reason: str = ""


class LiveSession:
    """One WebSocket that the gateway passes on.

    A message is taken from one side only when the other has taken the one before, so a slow side
    slows the other down.

    Attributes:
        usage: What OpenAI has reported so far.
        end: How the session ended; None before.
    """

    def __init__(
        self,
        app: LiveSide,
        openai: LiveSide,
        allow: Allow,
        *,
        models: Iterable[str] = (),
        max_seconds: float = _MAX_SECONDS,
        check_seconds: float = _CHECK_SECONDS,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Connect *app* and *openai*, whose handshakes are done.

        Args:
            app: The app's side.
            openai: OpenAI's side.
            allow: Asked for models that the app names in a message, and repeatedly for none.
            models: Those that are allowed from the start.
            max_seconds: The most that the session lasts.
            check_seconds: After how many seconds *allow* is asked again, so that a revocation ends
                the session.
            sleep: Lets time pass.
        """
        self.usage = Usage()
        self.end: LiveEnd | None = None
        self._app = app
        self._openai = openai
        self._allow = allow
        self._models = LiveModels(models, allow)
        self._max_seconds = max_seconds
        self._check_seconds = check_seconds
        self._sleep = sleep
        self._is_first = True
        self._is_key_refused = False

    @property
    def outcome(self) -> LeaseOutcome:
        """What the lease is to be settled with."""
        if self._is_key_refused:
            return LeaseOutcome.KEY_REJECTED
        return self.end.outcome if self.end else LeaseOutcome.CANCELLED

    async def run(self) -> None:
        """Pass messages on until the session ends, and close both sides.

        Raises:
            asyncio.CancelledError: The app is gone, or this service stops.
        """
        parts = (self._from_app(), self._from_openai(), self._check(), self._wait())
        tasks = [asyncio.create_task(part) for part in parts]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # In the order above: a side's own word goes before what the gateway thinks.
            ended = [task for task in tasks if task.done()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.end = _end_of(ended)
            # OpenAI first, which must not go on with what nobody reads.
            await self._openai.close(self.end.to_openai)
            await self._app.close(self.end.to_app)
        for task in ended:
            task.result()  # raises what a fault of this service raised

    async def _from_app(self) -> LiveEnd:
        while True:
            message = await self._app.receive()
            if isinstance(message, LiveClose):
                code_is_known = message.code in _SENDABLE or message.code == _NO_CODE
                return LiveEnd(
                    _passable(message, _NORMAL),
                    _passable(message, _GOING_AWAY),
                    LeaseOutcome.SERVED if code_is_known else LeaseOutcome.CANCELLED,
                )
            try:
                await self._models.must_be_allowed(message)
            except ServiceError as error:
                return _refused(error)
            await self._openai.send(message)

    async def _from_openai(self) -> LiveEnd:
        while True:
            message = await self._openai.receive()
            if isinstance(message, LiveClose):
                code_is_known = message.code in _SENDABLE or message.code == _NO_CODE
                close = _without_echo(message)
                return LiveEnd(
                    _passable(close, _BAD_GATEWAY),
                    _passable(close, _NORMAL),
                    LeaseOutcome.SERVED if code_is_known else LeaseOutcome.UPSTREAM_FAILED,
                )
            if isinstance(message, str):
                message = self._looked_at(message)
            await self._app.send(message)

    def _looked_at(self, text: str) -> str:
        """Note the usage in *text*, and return it; an error event without the key's echo."""
        if '"usage"' in text and (usage := usage_of_event(text)) is not None:
            self.usage = self.usage.plus(usage)
        is_first, self._is_first = self._is_first, False
        if '"error"' not in text:
            return text
        try:
            event = json.loads(text)
        except (ValueError, RecursionError):
            return text
        error = _error_in(event)
        if error is None:
            return text
        # In place of the event that begins a session; later ones may be about other keys.
        self._is_key_refused |= is_first and error.get("code") == _KEY_REFUSED
        return without_key_echo(text.encode("utf-8", "replace")).decode("utf-8")

    async def _check(self) -> LiveEnd:
        """Ask again and again whether the app may go on; return once it may not."""
        outages = 0
        while True:
            await self._sleep(self._check_seconds)
            try:
                await self._allow(())
            except ServiceError as error:
                outages += 1
                if not _is_outage(error) or outages == _MAX_OUTAGES:
                    return _refused(error)
            else:
                outages = 0

    async def _wait(self) -> LiveEnd:
        await self._sleep(self._max_seconds)
        return LiveEnd(_TIME_IS_UP, _TIME_IS_UP, LeaseOutcome.SERVED, _TIME_IS_UP.reason)


def _end_of(ended: list[asyncio.Task[LiveEnd]]) -> LiveEnd:
    """Return how the session ends of which the parts *ended* are done."""
    if not ended:
        return LiveEnd(_STOPPING, _STOPPED, LeaseOutcome.CANCELLED)
    ends = [task.result() for task in ended if task.exception() is None]
    return ends[0] if ends else LiveEnd(_FAULT, _STOPPED, LeaseOutcome.CANCELLED, _FAULT.reason)


def _error_in(event: object) -> dict[str, object] | None:
    """Return the error that *event* tells; None when it is another event."""
    if not isinstance(event, dict):
        return None
    response = event.get("response")
    places: list[object] = [event]
    if isinstance(response, dict):
        places += [response, response.get("status_details")]
    for place in places:
        if isinstance(place, dict) and (error := place.get("error")):
            return error if isinstance(error, dict) else {"message": error}
    return None


def _is_outage(error: ServiceError) -> bool:
    return error.retry_after_seconds is not None


def _refused(error: ServiceError) -> LiveEnd:
    code = _TRY_AGAIN if _is_outage(error) else _REFUSED
    to_app = LiveClose(code, error.reason)
    return LiveEnd(to_app, _STOPPED, LeaseOutcome.CANCELLED, error.reason)


def _passable(close: LiveClose, when_broken: int) -> LiveClose:
    """Return *close* as it can be sent; with *when_broken* where its code only describes."""
    if close.code in _SENDABLE:
        reason = close.reason.encode("utf-8", "replace")[:_MAX_REASON_BYTES]
        return LiveClose(close.code, reason.decode("utf-8", "ignore"))
    return LiveClose(_NORMAL if close.code == _NO_CODE else when_broken)


def _without_echo(close: LiveClose) -> LiveClose:
    return LiveClose(close.code, without_key_echo(close.reason.encode("utf-8", "replace")).decode())
