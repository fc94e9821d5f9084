from __future__ import annotations

from collections.abc import Callable

import openai
import pytest

_CheckShape = Callable[[openai.BaseModel], None]


async def test_an_evaluation_is_made_found_changed_and_deleted(
    sdk: openai.AsyncOpenAI, check_shape: _CheckShape
) -> None:
    made = await sdk.evals.create(
        name="polite?",
        data_source_config={"type": "logs", "metadata": {"a": "b"}},
        testing_criteria=[
            {
                "type": "string_check",
                "name": "thanks",
                "input": "{{ sample.output_text }}",
                "operation": "like",
                "reference": "thank",
            }
        ],
    )

    assert (made.object, made.name) == ("eval", "polite?")
    check_shape(made.testing_criteria[0])
    assert (await sdk.evals.retrieve(made.id)).name == "polite?"
    assert [listed.id async for listed in sdk.evals.list()] == [made.id]
    assert (await sdk.evals.update(made.id, name="kind?")).name == "kind?"
    assert (await sdk.evals.delete(made.id)).deleted
    with pytest.raises(openai.NotFoundError):
        await sdk.evals.retrieve(made.id)
