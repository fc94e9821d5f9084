from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest

from gateway_svc.domain.errors import (
    GrantRevokedError,
    KeyServiceUnavailableError,
    ModelNotGrantedError,
)
from gateway_svc.domain.lease_ports import LeaseOutcome
from gateway_svc.domain.live_ports import LiveClose
from gateway_svc.domain.live_session import LiveSession
from svc_runtime.service_error import ServiceError
from tests.fakes.fake_live_side import FakeLiveSide
from tests.fakes.fake_sleep import FakeSleep

_CHECK_SECONDS = 30.0
_MAX_SECONDS = 3600.0
_HEY = json.dumps({"type": "response.create"})
_SESSION = '{"type":"session.update","session":{"model":"%s"}}'
_STOPPED = LiveClose(1001)


class Policy:
    """Says what the key service says: yes, but for what it is told to refuse."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.refusals: dict[str, ServiceError] = {}
        self.answers: list[ServiceError | None] = []  # to the checks, in turn
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def allow(self, models: tuple[str, ...]) -> None:
        self.asked.append(models)
        await self.may_answer.wait()
        refusals = [self.refusals[model] for model in models if model in self.refusals]
        if not models and self.answers and (answer := self.answers.pop(0)) is not None:
            refusals.append(answer)
        if refusals:
            raise refusals[0]


def _session(
    app: FakeLiveSide,
    openai: FakeLiveSide,
    policy: Policy | None = None,
    sleep: Callable[[float], Awaitable[None]] | None = None,
    *,
    models: tuple[str, ...] = (),
) -> LiveSession:
    return LiveSession(
        app,
        openai,
        (policy or Policy()).allow,
        models=models,
        max_seconds=_MAX_SECONDS,
        check_seconds=_CHECK_SECONDS,
        sleep=sleep or FakeSleep(),
    )


async def test_messages_pass_both_ways_in_order_and_untouched() -> None:
    texts = ['{"a" : 1}', "no JSON?", '{"text":"sk-not-an-error"}', "\u00e4\U0001f600"]
    app, openai = FakeLiveSide(), FakeLiveSide(*texts, b"\x00\xff")
    run = asyncio.create_task(_session(app, openai).run())
    for message in ('{"type": "a"}', b"\x01\x02", '{"type": "b"}'):
        app.say(message)
    to_openai = [await openai.heard.get() for _ in range(3)]
    to_app = [await app.heard.get() for _ in range(5)]
    app.say(LiveClose(1000))
    await run

    assert to_openai == ['{"type": "a"}', b"\x01\x02", '{"type": "b"}']
    assert to_app == [*texts, b"\x00\xff"]


@pytest.mark.parametrize(
    ("close", "to_openai", "outcome"),
    [
        (LiveClose(1000, "done"), LiveClose(1000, "done"), LeaseOutcome.SERVED),
        (LiveClose(1001), LiveClose(1001), LeaseOutcome.SERVED),
        (LiveClose(4321, "own"), LiveClose(4321, "own"), LeaseOutcome.SERVED),
        (LiveClose(1005), LiveClose(1000), LeaseOutcome.SERVED),
        (LiveClose(1006), LiveClose(1001), LeaseOutcome.CANCELLED),
        (LiveClose(1015), LiveClose(1001), LeaseOutcome.CANCELLED),
        (LiveClose(5000), LiveClose(1001), LeaseOutcome.CANCELLED),
    ],
)
async def test_the_apps_close_reaches_openai_with_a_code_that_can_be_sent(
    close: LiveClose, to_openai: LiveClose, outcome: LeaseOutcome
) -> None:
    app, openai = FakeLiveSide(_HEY, close), FakeLiveSide()
    session = _session(app, openai)
    await session.run()

    assert openai.all_heard() == [_HEY]
    assert openai.closed == to_openai
    assert session.outcome is outcome


@pytest.mark.parametrize(
    ("close", "to_app", "outcome"),
    [
        (LiveClose(1000, "bye"), LiveClose(1000, "bye"), LeaseOutcome.SERVED),
        (LiveClose(3000, "x.session_expired"), LiveClose(3000, "x.session_expired"), "served"),
        (LiveClose(1005), LiveClose(1000), LeaseOutcome.SERVED),
        (LiveClose(1006), LiveClose(1014), LeaseOutcome.UPSTREAM_FAILED),
        (LiveClose(1004), LiveClose(1014), LeaseOutcome.UPSTREAM_FAILED),
        (LiveClose(1000, "\u00e4" * 70), LiveClose(1000, "\u00e4" * 61), LeaseOutcome.SERVED),
        (LiveClose(3000, "bad key: sk-proj-***x"), LiveClose(3000, "bad key: [key]"), "served"),
    ],
)
async def test_openais_close_reaches_the_app_with_a_code_that_can_be_sent_and_no_key(
    close: LiveClose, to_app: LiveClose, outcome: LeaseOutcome
) -> None:
    app, openai = FakeLiveSide(), FakeLiveSide('{"last":1}', close)
    session = _session(app, openai)
    await session.run()

    assert app.all_heard() == ['{"last":1}']
    assert app.closed == to_app
    assert session.outcome is LeaseOutcome(outcome)


async def test_a_side_without_room_stops_what_is_taken_from_the_other() -> None:
    app, openai = FakeLiveSide(*[_HEY] * 50), FakeLiveSide()
    openai.room.clear()
    run = asyncio.create_task(_session(app, openai).run())
    openai.say('{"n":1}')
    await app.heard.get()

    assert app.taken_count == 1

    openai.room.set()
    for _ in range(50):
        await openai.heard.get()
    app.say(LiveClose(1000))
    await run


async def test_a_message_with_another_model_waits_until_the_model_is_allowed() -> None:
    policy = Policy()
    policy.may_answer.clear()
    app, openai = FakeLiveSide(_SESSION % "gpt-a", _SESSION % "gpt-b", _HEY), FakeLiveSide()
    run = asyncio.create_task(_session(app, openai, policy, models=("gpt-a",)).run())
    first = await openai.heard.get()
    openai.say('{"n":1}')
    await app.heard.get()

    assert first == _SESSION % "gpt-a"
    assert openai.heard.empty()
    assert policy.asked == [("gpt-b",)]

    policy.may_answer.set()
    app.say(_SESSION % "gpt-b")  # is not asked for again
    app.say(LiveClose(1000))
    await run

    assert openai.all_heard() == [_SESSION % "gpt-b", _HEY, _SESSION % "gpt-b"]
    assert policy.asked == [("gpt-b",)]


@pytest.mark.parametrize(
    "message",
    [
        _SESSION % "gpt-secret",
        '{"session":{"mod\\u0065l":"gpt-secret"}}',
        b'{"session":{"model":"gpt-secret"}}',
        '{"session":{"model":"gpt-secret"}}'.encode("utf-16"),
        ' \n{"model":"gpt-secret","pad":"%s"}' % ("x" * 300_000),
    ],
)
async def test_a_refused_model_ends_the_session_before_openai_hears_of_it(
    message: str | bytes,
) -> None:
    policy = Policy()
    policy.refusals["gpt-secret"] = ModelNotGrantedError()
    app, openai = FakeLiveSide(_HEY, message, _HEY), FakeLiveSide()
    session = _session(app, openai, policy)
    await session.run()

    assert openai.all_heard() == [_HEY]
    assert app.closed == LiveClose(1008, "MODEL_NOT_GRANTED")
    assert openai.closed == _STOPPED
    assert session.outcome is LeaseOutcome.CANCELLED


async def test_a_model_that_nobody_can_allow_now_ends_the_session_for_a_later_try() -> None:
    policy = Policy()
    policy.refusals["gpt-b"] = KeyServiceUnavailableError()
    app, openai = FakeLiveSide(_SESSION % "gpt-b"), FakeLiveSide()
    await _session(app, openai, policy).run()

    assert openai.all_heard() == []
    assert app.closed == LiveClose(1013, "KEY_SERVICE_UNAVAILABLE")


async def test_a_message_that_can_be_read_in_two_ways_ends_the_session() -> None:
    app, openai = FakeLiveSide('{"model":"gpt-a","model":"gpt-b"}'), FakeLiveSide()
    await _session(app, openai, models=("gpt-a", "gpt-b")).run()

    assert openai.all_heard() == []
    assert app.closed == LiveClose(1008, "INVALID_ARGUMENT")


async def test_a_revocation_ends_a_session_at_the_next_check() -> None:
    policy, sleep = Policy(), FakeSleep()
    policy.answers = [None, GrantRevokedError()]
    app, openai = FakeLiveSide(), FakeLiveSide()
    session = _session(app, openai, policy, sleep)
    run = asyncio.create_task(session.run())
    await sleep.end(_CHECK_SECONDS)
    await sleep.end(_CHECK_SECONDS)
    await run

    assert policy.asked == [(), ()]
    assert app.closed == LiveClose(1008, "GRANT_REVOKED")
    assert session.end is not None
    assert session.end.own_reason == "GRANT_REVOKED"
    assert openai.closed == _STOPPED
    assert session.outcome is LeaseOutcome.CANCELLED


async def test_only_the_third_outage_in_a_row_ends_a_session() -> None:
    policy, sleep = Policy(), FakeSleep()
    outage = KeyServiceUnavailableError()
    policy.answers = [outage, outage, None, outage, outage, outage]
    app, openai = FakeLiveSide(), FakeLiveSide()
    run = asyncio.create_task(_session(app, openai, policy, sleep).run())
    for _ in range(6):
        assert app.closed is None
        await sleep.end(_CHECK_SECONDS)
    await run

    assert len(policy.asked) == 6
    assert app.closed == LiveClose(1013, "KEY_SERVICE_UNAVAILABLE")


async def test_a_session_ends_when_its_time_is_up() -> None:
    sleep = FakeSleep()
    app, openai = FakeLiveSide(), FakeLiveSide()
    session = _session(app, openai, sleep=sleep)
    run = asyncio.create_task(session.run())
    await sleep.end(_MAX_SECONDS)
    await run

    assert app.closed == openai.closed == LiveClose(1001, "TIME_IS_UP")
    assert session.outcome is LeaseOutcome.SERVED


async def test_usage_of_all_answers_is_added_up() -> None:
    def done(input_tokens: int, output_tokens: int) -> str:
        usage = {"input_tokens": input_tokens, "output_tokens": output_tokens}
        return json.dumps({"type": "response.done", "response": {"id": "r", "usage": usage}})

    app, openai = FakeLiveSide(), FakeLiveSide(done(3, 5), _HEY, done(7, 11), LiveClose(1000))
    session = _session(app, openai)
    await session.run()

    assert (session.usage.input_tokens, session.usage.output_tokens) == (10, 16)
    assert app.all_heard() == [done(3, 5), _HEY, done(7, 11)]


@pytest.mark.parametrize(
    "event",
    [
        {"type": "error", "error": {"message": "Incorrect API key provided: sk-proj-*****abcd."}},
        {"type": "response.failed", "response": {"error": {"message": "sk-proj-*****abcd"}}},
        {
            "type": "response.done",
            "response": {"status_details": {"error": {"message": "key sk-proj-\u2026abcd"}}},
        },
    ],
)
async def test_an_error_event_reaches_the_app_without_what_it_repeats_of_the_key(
    event: dict[str, object],
) -> None:
    app = FakeLiveSide()
    openai = FakeLiveSide(json.dumps(event), LiveClose(1000))
    await _session(app, openai).run()
    (heard,) = app.all_heard()

    assert isinstance(heard, str)
    assert "abcd" not in heard
    assert "[key]" in heard
    assert json.loads(heard)["type"] == event["type"]


@pytest.mark.parametrize("code", ["invalid_api_key", "other"])
@pytest.mark.parametrize("before", [(), (_HEY,)])
async def test_a_key_is_rejected_if_the_first_thing_that_openai_says_is_so(
    code: str, before: tuple[str, ...]
) -> None:
    refusal = json.dumps({"type": "error", "error": {"code": code, "message": "no"}})
    app = FakeLiveSide()
    openai = FakeLiveSide(*before, refusal, LiveClose(3000, "invalid_request_error.x"))
    session = _session(app, openai)
    await session.run()

    is_rejected = code == "invalid_api_key" and not before
    expected = LeaseOutcome.KEY_REJECTED if is_rejected else LeaseOutcome.SERVED
    assert session.outcome is expected


async def test_a_cancelled_session_closes_both_sides_and_leaves_nothing_behind() -> None:
    app, openai = FakeLiveSide(_HEY), FakeLiveSide()
    session = _session(app, openai)
    others = asyncio.all_tasks()
    run = asyncio.create_task(session.run())
    await openai.heard.get()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run

    assert (app.closed, openai.closed) == (LiveClose(1001, "SERVICE_STOPPING"), _STOPPED)
    assert session.outcome is LeaseOutcome.CANCELLED
    assert asyncio.all_tasks() == others


async def test_a_fault_of_the_gateway_ends_the_session_and_is_not_hidden() -> None:
    app, openai = FakeLiveSide(), FakeLiveSide()
    app.say(LookupError("a fault"))
    session = _session(app, openai)
    with pytest.raises(LookupError, match="a fault"):
        await session.run()

    assert app.closed == LiveClose(1011, "INTERNAL")
    assert openai.closed == _STOPPED
