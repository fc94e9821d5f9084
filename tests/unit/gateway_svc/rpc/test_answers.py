from __future__ import annotations

import json

import pytest

from gateway_svc.domain import errors
from gateway_svc.domain.answer_reader import AnswerReader
from gateway_svc.domain.lease_ports import LeaseRequest
from gateway_svc.domain.leases import LeaseUse
from gateway_svc.domain.relay import Exchange
from gateway_svc.domain.upstream_ports import UpstreamAnswer
from gateway_svc.rpc.answers import MAX_ANSWER_BYTES, json_object, read_whole, refusal
from tests.fakes.fake_upstream import FakeUpstream
from tests.unit.gateway_svc.relay_stage import CALL, LEASE


def _exchange(*pieces: bytes, status: int = 200) -> Exchange:
    headers = (("content-type", "application/json"),)
    reader = AnswerReader(
        method="GET", endpoint="models", status=status, headers=headers, removes_usage=False
    )
    request = LeaseRequest(
        CALL.request_id, CALL.key, CALL.app, "GET", "models", "", CALL.source_ip, b"", 0, 0, None
    )
    use = LeaseUse(request, LEASE, openai_request_id="req-openai")
    return Exchange(UpstreamAnswer(status, headers, FakeUpstream(*pieces)._body()), reader, use)


def _error(**fields: object) -> bytes:
    return json.dumps({"error": fields}).encode()


async def test_an_answer_is_read_whole() -> None:
    assert await read_whole(_exchange(b"a", b"", b"bc")) == b"abc"


async def test_an_answer_has_at_most_10_mib() -> None:
    full = b"x" * MAX_ANSWER_BYTES

    assert await read_whole(_exchange(full)) == full
    with pytest.raises(errors.UpstreamAnswerUnusableError):
        await read_whole(_exchange(full, b"x"))


def test_an_answer_is_a_json_object() -> None:
    assert json_object(b'{"a":[1]}') == {"a": [1]}


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b"canary", b"\xff", b'{"a":' * 50_000], ids=range(6)
)
def test_what_is_no_json_object_is_unusable(body: bytes) -> None:
    with pytest.raises(errors.UpstreamAnswerUnusableError) as caught:
        json_object(body)

    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.UpstreamInvalidRequestError),
        (402, errors.UpstreamInvalidRequestError),
        (403, errors.UpstreamForbiddenError),
        (404, errors.UpstreamNotFoundError),
        (409, errors.UpstreamConflictError),
        (422, errors.UpstreamInvalidRequestError),
        (429, errors.UpstreamRateLimitedError),
        (500, errors.UpstreamFailedError),
        (503, errors.UpstreamFailedError),
    ],
)
def test_a_refusal_keeps_its_meaning(status: int, kind: type[errors.UpstreamRefusedError]) -> None:
    error = refusal(_exchange(status=status), b"")

    assert type(error) is kind
    assert error.reason == "UPSTREAM_REFUSED"


def test_a_refusal_holds_what_openai_said() -> None:
    body = _error(message="Bad model.", type="invalid_request_error", param="model", code=None)

    assert refusal(_exchange(status=400), body).details == {
        "http_status": "400",
        "openai_request_id": "req-openai",
        "message": "Bad model.",
        "type": "invalid_request_error",
        "param": "model",
    }


def test_a_refusal_that_lacks_a_field_keeps_the_others() -> None:
    details = refusal(_exchange(status=500), _error(message="Overloaded.")).details

    assert details["message"] == "Overloaded."


def test_a_refusals_text_is_cut_to_what_metadata_can_hold() -> None:
    details = refusal(_exchange(status=400), _error(message="x" * 10_000)).details

    assert len(details["message"]) == 512


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b'"error"',
        b"{}",
        b'{"error":"text"}',
        b'{"error":null}',
        b"\xff",
        b'{"error":[1]}',
        b'{"error":{"message":7}}',
        b'{"error":' * 50_000,
    ],
    ids=range(11),
)
def test_a_refusal_of_another_form_has_its_status_only(body: bytes) -> None:
    assert refusal(_exchange(status=400), body).details == {
        "http_status": "400",
        "openai_request_id": "req-openai",
    }
