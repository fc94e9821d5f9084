from __future__ import annotations

import json

import pytest

from gateway_svc.domain.errors import (
    BudgetSpentError,
    GrantRevokedError,
    KeyRejectedUpstreamError,
    LeaseExpiredError,
    RateLimitedError,
    UpstreamTimedOutError,
)
from gateway_svc.domain.reached_limit import ReachedLimit
from gateway_svc.http.error_status import HTTP_STATUS, http_error, internal_error
from svc_runtime.service_error import InvalidFieldError, ServiceError
from svc_runtime.vault.errors import VaultUnavailableError


def test_an_error_has_openais_form() -> None:
    status, headers, body = http_error(GrantRevokedError())

    assert (status, headers) == (403, {"content-type": "application/json"})
    assert json.loads(body) == {
        "error": {
            "message": GrantRevokedError.public_message,
            "type": "permission_error",
            "param": None,
            "code": "GRANT_REVOKED",
        }
    }


def test_a_broken_rule_names_its_field_as_param() -> None:
    status, _, body = http_error(InvalidFieldError("model", "must name a model"))

    error = json.loads(body)["error"]
    assert (status, error["param"]) == (400, "model")
    assert error["message"] == "model: must name a model"


@pytest.mark.parametrize(
    ("error", "seconds", "milliseconds"),
    [(VaultUnavailableError(), "1", "1000"), (LeaseExpiredError(), "1", "500")],
)
def test_a_retry_that_helps_is_offered_in_whole_seconds_and_in_milliseconds(
    error: ServiceError, seconds: str, milliseconds: str
) -> None:
    _, headers, _ = http_error(error)

    assert (headers["retry-after"], headers["retry-after-ms"]) == (seconds, milliseconds)


@pytest.mark.parametrize("error", [KeyRejectedUpstreamError(), UpstreamTimedOutError()])
def test_a_retry_that_does_not_help_is_not_offered(error: ServiceError) -> None:
    _, headers, _ = http_error(error)

    assert set(headers) == {"content-type"}


@pytest.mark.parametrize(
    ("kind", "error_type"),
    [
        ("concurrent_calls", "requests"),
        ("requests_per_minute", "requests"),
        ("tokens_per_minute", "tokens"),
    ],
)
def test_a_full_rate_limit_has_openais_type_and_may_be_retried(kind: str, error_type: str) -> None:
    limit = ReachedLimit("grant", kind, 60, 0)

    status, headers, body = http_error(RateLimitedError(limit, 1.5))

    error = json.loads(body)["error"]
    assert (status, error["type"], error["code"]) == (429, error_type, "RATE_LIMITED")
    assert limit.text in error["message"]
    assert headers == {
        "content-type": "application/json",
        "retry-after": "2",
        "retry-after-ms": "1500",
        "x-should-retry": "true",
    }


def test_a_spent_budget_is_told_as_a_spent_quota_that_no_retry_helps() -> None:
    status, headers, body = http_error(BudgetSpentError())

    error = json.loads(body)["error"]
    assert (status, error["type"], error["code"]) == (429, "insufficient_quota", "BUDGET_SPENT")
    assert headers == {"content-type": "application/json", "x-should-retry": "false"}


@pytest.mark.parametrize("status_and_type", HTTP_STATUS.values())
def test_every_error_is_an_error_status(status_and_type: tuple[int, str]) -> None:
    status, _ = status_and_type

    assert 400 <= status <= 599


def test_a_fault_says_nothing_of_itself() -> None:
    status, _, body = internal_error()

    assert status == 500
    assert json.loads(body)["error"]["code"] == "INTERNAL"
