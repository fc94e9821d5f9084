from __future__ import annotations

import json

import pytest

from gateway_svc.domain.errors import UpstreamAnswerUnusableError
from gateway_svc.rpc.typed_calls import endpoint_of, fill_from, has_type
from keyturn.gateway.v1.embedding_service_pb2 import EmbeddingList
from keyturn.gateway.v1.model_service_pb2 import Model
from keyturn.gateway.v1.response_service_pb2 import StreamResponseResponse
from svc_runtime.service_error import InvalidFieldError
from tests.fakes.fake_upstream import FakeUpstream
from tests.unit.gateway_svc.relay_stage import CALL, Stage


@pytest.mark.parametrize(
    "object_id", ["gpt-4o", "ft:gpt-4o:team::7", "resp_0a", "a", "...", "x" * 200]
)
def test_an_id_is_one_segment_of_the_path(object_id: str) -> None:
    endpoint = endpoint_of("models", object_id, "model")

    assert endpoint.raw == endpoint.name == f"models/{object_id}"


def test_more_may_follow_the_id() -> None:
    assert endpoint_of("responses", "r", "response_id", "cancel").name == "responses/r/cancel"


@pytest.mark.parametrize(
    "object_id",
    ["", ".", "..", "a/b", "../files", "a%2Fb", "a?b", "a#b", "a b", "a\n", "é", "x" * 201],
)
def test_an_id_that_could_be_more_than_a_segment_is_refused(object_id: str) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        endpoint_of("models", object_id, "model")

    assert caught.value.field == "model"


@pytest.mark.parametrize(
    ("content_type", "is_json"),
    [
        ("application/json", True),
        ("Application/JSON ; charset=utf-8", True),
        ("application/json;x", True),
        ("application/jsonl", False),
        ("text/plain; application/json", False),
        ("", False),
    ],
)
async def test_the_type_of_an_answer_is_told_without_its_parameters(
    content_type: str, *, is_json: bool
) -> None:
    stage = Stage(FakeUpstream(b"{}", headers=(("content-type", content_type),)))
    async with stage.relay.exchange(CALL) as exchange:
        assert has_type(exchange, "application/json") is is_json


async def test_an_answer_without_a_type_has_none() -> None:
    async with Stage(FakeUpstream(b"{}", headers=())).relay.exchange(CALL) as exchange:
        assert not has_type(exchange, "application/json")


@pytest.mark.parametrize("vectors", [1, 2000], ids=["small", "large"])
async def test_a_message_is_filled_from_an_answer_of_any_size(vectors: int) -> None:
    vector = {"embedding": [0.25] * 50}
    target = EmbeddingList()
    await fill_from(target, json.dumps({"data": [vector] * vectors, "model": "m"}).encode())

    assert len(target.data) == vectors
    assert target.data[-1].embedding_numbers.numbers == [0.25] * 50
    assert target.model == "m"


@pytest.mark.parametrize(
    ("opening", "closing"), [("[", "]"), ('{"a":', "}")], ids=["list", "object"]
)
async def test_whatever_fits_is_not_too_deep_for_an_app_to_parse(
    opening: str, closing: str
) -> None:
    parsed = 0
    for depth in range(100):
        deep = opening * depth + "1" + closing * depth
        part = f'{{"output":[{{"content":[{{"x":{deep}}}]}}]}}'
        answer = StreamResponseResponse()
        try:
            await fill_from(answer.event, f'{{"response":{part}}}'.encode())
        except UpstreamAnswerUnusableError:
            continue
        assert StreamResponseResponse.FromString(answer.SerializeToString()) == answer
        parsed += 1

    assert 20 < parsed < 50


@pytest.mark.parametrize("padding", [0, 300_000], ids=["small", "large"])
@pytest.mark.parametrize("body", [b"", b"[1]", b'{"id":"\\ud800"}', b'{"x":NaN}', b'{"id":1'])
async def test_an_answer_that_no_message_can_hold_is_unusable(body: bytes, padding: int) -> None:
    with pytest.raises(UpstreamAnswerUnusableError) as caught:
        await fill_from(Model(), body + b" " * padding)

    assert caught.value.__context__ is None
