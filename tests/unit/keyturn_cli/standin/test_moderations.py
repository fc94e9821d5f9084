from __future__ import annotations

import openai
from openai.types import ModerationMultiModalInputParam


async def test_every_text_gets_a_result_that_flags_nothing(sdk: openai.AsyncOpenAI) -> None:
    answer = await sdk.moderations.create(input=["one", "two"])

    assert [result.flagged for result in answer.results] == [False, False]
    assert answer.model == "omni-moderation-latest"
    assert answer.results[0].categories.violence_graphic is False


async def test_mixed_parts_get_one_result(sdk: openai.AsyncOpenAI) -> None:
    parts: list[ModerationMultiModalInputParam] = [
        {"type": "text", "text": "one"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
    ]

    answer = await sdk.moderations.create(input=parts)

    assert len(answer.results) == 1
    assert answer.results[0].category_applied_input_types.violence == ["text", "image"]
