from __future__ import annotations

import json

import pytest

from gateway_svc.domain.usage import Usage, UsageSource, usage_of_answer, usage_of_event

REALTIME = {
    "type": "response.done",
    "response": {
        "id": "resp_1",
        "usage": {
            "input_tokens": 5,
            "output_tokens": 7,
            "input_token_details": {"cached_tokens": 2},
        },
    },
}


def test_the_end_of_a_realtime_response_reports_its_usage() -> None:
    usage = usage_of_event(json.dumps(REALTIME))

    assert usage == Usage(5, 7, 2, subject="resp_1", source=UsageSource.REPORTED)


def test_a_transcript_of_the_apps_audio_reports_its_seconds() -> None:
    event = {
        "type": "conversation.item.input_audio_transcription.completed",
        "usage": {"type": "duration", "seconds": 3},
    }
    usage = usage_of_event(json.dumps(event))

    assert usage is not None
    assert usage.audio_seconds == 3.0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "1",
        '{"type":"response.done"}',
        '{"type":"response.done","response":{"usage":null}}',
        '{"type":"conversation.item.create","usage":{"input_tokens":9}}',
        "[" * 100_000,
    ],
    ids=range(8),
)
def test_any_other_event_reports_none(text: str) -> None:
    assert usage_of_event(text) is None


def test_sums_add_what_has_a_sum_and_keep_the_last_names() -> None:
    first = Usage(1, 2, 3, 4, 5.0, 6, "a", "b", UsageSource.REPORTED)
    second = Usage(10, 20, 30, 40, 50.0, 60, "", "c")

    assert first.plus(second) == Usage(11, 22, 33, 44, 55.0, 66, "a", "c", UsageSource.REPORTED)
    assert Usage().plus(first) == first


def test_details_of_either_api_are_read() -> None:
    chat = {
        "prompt_tokens": 9,
        "completion_tokens": 8,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 3},
    }
    response = {
        "input_tokens": 9,
        "output_tokens": 8,
        "input_tokens_details": {"cached_tokens": 4},
        "output_tokens_details": {"reasoning_tokens": 3},
    }

    assert usage_of_answer({"usage": chat}) == usage_of_answer({"usage": response})
    assert usage_of_answer({"usage": chat}) == Usage(9, 8, 4, 3, source=UsageSource.REPORTED)
