from __future__ import annotations

import json

import pytest

from gateway_svc.domain.verification import VerificationOutcome, conclude, is_final, outcome_of

VERIFIED = VerificationOutcome.VERIFIED
WRONG_KEY = VerificationOutcome.WRONG_KEY
NO_QUOTA = VerificationOutcome.NO_QUOTA
NO_PERMISSION = VerificationOutcome.NO_PERMISSION
UNREACHABLE = VerificationOutcome.OPENAI_UNREACHABLE


def _error(code: str | None = None, kind: str | None = "invalid_request_error") -> bytes:
    return json.dumps({"error": {"message": "canary", "type": kind, "code": code}}).encode()


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_an_answer_to_the_request_verifies_the_key(status: int) -> None:
    assert outcome_of(status, b'{"object": "list"}') is VERIFIED


@pytest.mark.parametrize(
    "code", ["invalid_api_key", "account_deactivated", "api_key_expired", "invalid_issuer"]
)
def test_a_401_that_names_the_key_condemns_it(code: str) -> None:
    assert outcome_of(401, _error(code)) is WRONG_KEY


def test_the_type_of_an_error_condemns_a_key_as_its_code_does() -> None:
    assert outcome_of(401, _error(None, "account_deactivated")) is WRONG_KEY


@pytest.mark.parametrize(
    "body",
    [
        _error("ip_not_authorized"),
        _error("mismatched_organization"),
        _error("mismatched_project"),
        _error("invalid_organization"),
        _error("something_new"),
        _error(None),
        _error(None, None),
        b"{}",
        b'{"error": null}',
        b'{"error": "invalid_api_key"}',
        b'{"code": "invalid_api_key"}',
    ],
)
def test_any_other_401_does_not_cost_the_owner_the_key(body: bytes) -> None:
    assert outcome_of(401, body) is NO_PERMISSION


@pytest.mark.parametrize("status", [402, 429])
@pytest.mark.parametrize(
    "body",
    [
        _error("insufficient_quota"),
        _error(None, "insufficient_quota"),
        _error("billing_hard_limit_reached"),
        _error("billing_not_active"),
    ],
)
def test_an_account_without_money_has_no_quota(status: int, body: bytes) -> None:
    assert outcome_of(status, body) is NO_QUOTA


@pytest.mark.parametrize(
    "body", [_error("rate_limit_exceeded", "requests"), _error(None, "tokens"), b"{}"]
)
def test_a_key_that_is_paced_is_known(body: bytes) -> None:
    assert outcome_of(429, body) is VERIFIED


@pytest.mark.parametrize("body", [_error(None), _error("missing_scope"), b"{}"])
def test_a_403_is_a_lack_of_permission(body: bytes) -> None:
    assert outcome_of(403, body) is NO_PERMISSION


@pytest.mark.parametrize("status", [400, 404, 422])
def test_an_answer_about_the_request_leaves_the_key_open(status: int) -> None:
    assert outcome_of(status, _error("model_not_found")) is None


@pytest.mark.parametrize("status", [100, 301, 302, 308, 402, 405, 408, 409, 500, 502, 503, 529])
def test_everything_else_is_an_outage(status: int) -> None:
    assert outcome_of(status, _error("server_error")) is UNREACHABLE


@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 429, 500])
@pytest.mark.parametrize(
    "body",
    [b"", b"<html>invalid_api_key</html>", b"\xff", b"[]", b'"x"', b'{"error":', b"[" * 100_000],
    ids=["empty", "HTML", "no UTF-8", "list", "text", "cut off", "deep"],
)
def test_what_is_not_openais_json_is_an_outage_whatever_its_status(
    status: int, body: bytes
) -> None:
    assert outcome_of(status, body) is UNREACHABLE


@pytest.mark.parametrize("listing", list(VerificationOutcome))
@pytest.mark.parametrize("asking", list(VerificationOutcome))
def test_the_question_to_a_model_decides(
    listing: VerificationOutcome, asking: VerificationOutcome
) -> None:
    assert conclude(listing, asking) is asking


@pytest.mark.parametrize("listing", list(VerificationOutcome))
def test_the_list_of_models_decides_where_the_question_is_left_out_or_open(
    listing: VerificationOutcome,
) -> None:
    assert conclude(listing, None) is listing


@pytest.mark.parametrize("asking", list(VerificationOutcome))
def test_a_server_without_a_list_of_models_can_be_asked(asking: VerificationOutcome) -> None:
    assert conclude(None, asking) is asking


def test_a_server_that_leaves_everything_open_is_not_openai() -> None:
    assert conclude(None, None) is UNREACHABLE


def test_a_question_is_left_out_where_it_could_tell_no_more() -> None:
    final = [outcome for outcome in (None, *VerificationOutcome) if is_final(outcome)]

    assert final == [WRONG_KEY, UNREACHABLE]
