from __future__ import annotations

import asyncio
import re

import pytest
import structlog

from svc_runtime.call_context import (
    CallContext,
    annotate,
    bind_call,
    bind_request_id,
    bound_request_id,
    current_call,
    request_id_from,
)
from svc_runtime.service_error import InvalidFieldError
from tests.unit.svc_runtime.interceptors.echo_service import recording


def _call(request_id: str = "req-00000001") -> CallContext:
    return CallContext(request_id, "/test.Echo/UnaryUnary")


def test_a_bound_call_is_current_until_its_end() -> None:
    with bind_call(_call()) as call:
        assert current_call() is call
    with pytest.raises(LookupError):
        current_call()


def test_a_call_bound_inside_another_gives_way_to_it_again() -> None:
    with bind_call(_call()) as outer:
        with bind_call(_call("req-00000002")):
            pass
        assert current_call() is outer


async def test_a_task_sees_the_call_that_started_it() -> None:
    async def request_id() -> str:
        return current_call().request_id

    with bind_call(_call("req-00000001")):
        task = asyncio.create_task(request_id())

    assert await task == "req-00000001"


def test_each_run_of_background_work_has_a_request_id_of_its_own_in_its_lines() -> None:
    with recording() as tape:
        with bind_request_id() as first:
            structlog.get_logger().info("x")
        with bind_request_id() as second:
            structlog.get_logger().info("x")
        structlog.get_logger().info("x")

    assert first != second
    assert [line.get("request_id") for line in tape.events] == [first, second, None]


def test_what_comes_later_of_a_request_can_bear_its_id() -> None:
    with bind_call(_call("req-00000001")):
        kept = bound_request_id()

    with bind_request_id(kept):
        assert bound_request_id() == "req-00000001"


def test_outside_of_everything_an_id_is_made() -> None:
    assert bound_request_id() != bound_request_id()


def test_annotations_add_up_and_the_later_wins() -> None:
    with bind_call(_call()) as call:
        annotate(key="users/alice/keys/openai", count=1)
        annotate(count=2)

    assert call.fields == {"key": "users/alice/keys/openai", "count": 2}


def test_a_name_outside_the_allow_list_cannot_be_annotated() -> None:
    with bind_call(_call()) as call, pytest.raises(ValueError, match="LogField"):
        annotate(key="k", api_key="canary")

    assert call.fields == {}


def test_nothing_can_be_annotated_outside_a_call() -> None:
    with pytest.raises(LookupError):
        annotate(key="k")


def test_log_lines_inside_a_call_carry_its_request_id() -> None:
    with recording() as tape:
        log = structlog.get_logger()
        with bind_call(_call("req-00000001")):
            log.info("inside")
        log.info("outside")

    assert [event.get("request_id") for event in tape.events] == ["req-00000001", None]


def test_an_absent_request_id_is_made_up_freshly() -> None:
    first, second = request_id_from([]), request_id_from([])

    assert first != second
    assert re.fullmatch(r"[0-9a-f]{32}", first)


@pytest.mark.parametrize("raw", ["12345678", "a.b_c-D9", "x" * 64])
def test_a_well_formed_request_id_is_kept(raw: str) -> None:
    assert request_id_from([raw]) == raw


@pytest.mark.parametrize(
    "raw_values",
    [["1234567"], ["x" * 65], [""], ["12345678\n"], ["1234 5678"], [b"12345678"], ["1" * 8] * 2],
    ids=["short", "long", "empty", "newline", "space", "bytes", "two"],
)
def test_a_malformed_request_id_is_refused(raw_values: list[str | bytes]) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        request_id_from(raw_values)

    assert caught.value.field == "x-keyturn-request-id"
