from __future__ import annotations

import base64
import math

import openai
import pytest


async def test_an_embedding_is_a_unit_vector(sdk: openai.AsyncOpenAI) -> None:
    answer = await sdk.embeddings.create(
        model="text-embedding-3-small", input="hello there", encoding_format="float"
    )

    vector = answer.data[0].embedding
    assert len(vector) == 8
    assert math.hypot(*vector) == pytest.approx(1.0, abs=1e-6)
    assert answer.usage.total_tokens == 2


async def test_both_encodings_carry_the_same_vectors(sdk: openai.AsyncOpenAI) -> None:
    inputs = ["one", "two"]

    floats = await sdk.embeddings.create(
        model="text-embedding-3-small", input=inputs, encoding_format="float", dimensions=5
    )
    # Left to itself the SDK asks for base64 and decodes it.
    decoded = await sdk.embeddings.create(
        model="text-embedding-3-small", input=inputs, dimensions=5
    )

    assert [item.embedding for item in floats.data] == [item.embedding for item in decoded.data]
    assert floats.data[0].embedding != floats.data[1].embedding


async def test_base64_is_sent_when_asked_for(sdk: openai.AsyncOpenAI) -> None:
    answer = await sdk.embeddings.create(
        model="text-embedding-3-small", input="one", encoding_format="base64"
    )

    # The SDK's type does not know that this field can be a string.
    assert len(base64.b64decode(str(answer.data[0].embedding))) == 8 * 4


async def test_token_ids_are_counted_one_by_one(sdk: openai.AsyncOpenAI) -> None:
    answer = await sdk.embeddings.create(
        model="text-embedding-3-small", input=[[1, 2, 3], [4]], encoding_format="float"
    )

    assert len(answer.data) == 2
    assert answer.usage.prompt_tokens == 4


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("input", []),
        ("input", [{}]),
        ("dimensions", 9999),
        ("encoding_format", "hex"),
        ("encoding_format", []),
    ],
)
async def test_a_wrong_request_names_its_parameter(
    sdk: openai.AsyncOpenAI, field: str, value: object
) -> None:
    body = {"input": "one", field: value}

    with pytest.raises(openai.BadRequestError) as caught:
        await sdk.embeddings.create(
            model="text-embedding-3-small", input="one", encoding_format="float", extra_body=body
        )

    assert str(caught.value.param).startswith(field)
