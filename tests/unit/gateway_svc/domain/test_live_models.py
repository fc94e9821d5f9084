from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_svc.domain.live_models import LiveModels
from svc_runtime.service_error import InvalidFieldError

_LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


async def _asked_for(message: str | bytes) -> set[str]:
    asked: set[str] = set()

    async def allow(models: tuple[str, ...]) -> None:
        asked.update(models)

    await LiveModels((), allow).must_be_allowed(message)
    return asked


@given(
    beside=st.lists(_VALUES, max_size=3),
    depth=st.integers(0, 3),
    is_binary=st.booleans(),
    is_escaped=st.booleans(),
)
async def test_a_model_is_found_wherever_it_stands_and_however_it_is_written(
    beside: list[object], depth: int, *, is_binary: bool, is_escaped: bool
) -> None:
    event: object = {"model": "gpt-a", "beside": beside}
    for _ in range(depth):
        event = [event, {"type": "x"}] if depth % 2 else {"in": event}
    text = json.dumps(event)
    if is_escaped:
        text = text.replace("model", "m\\u006fdel")

    asked = await _asked_for(text.encode("utf-8", "replace") if is_binary else text)

    assert "gpt-a" in asked


@given(st.binary(max_size=200))
async def test_a_binary_message_that_is_no_json_asks_nobody(message: bytes) -> None:
    assert await _asked_for(b"\x80" + message) == set()


@given(st.binary(max_size=200))
async def test_no_binary_message_breaks_the_search(message: bytes) -> None:
    with suppress(InvalidFieldError):
        assert await _asked_for(b"{" + message) == set()


@pytest.mark.parametrize(
    "message", ['{"type":"input_audio_buffer.append","audio":"AAAA"}', "x", "", b"\xff\xfe"]
)
async def test_a_message_that_cannot_name_a_model_asks_nobody(message: str | bytes) -> None:
    assert await _asked_for(message) == set()
