from __future__ import annotations

import json

import pytest

from gateway_svc.domain.errors import (
    GrantRevokedError,
    KeyRejectedUpstreamError,
    LeaseExpiredError,
    UpstreamTimedOutError,
)
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


@pytest.mark.parametrize("status_and_type", HTTP_STATUS.values())
def test_every_error_is_an_error_status(status_and_type: tuple[int, str]) -> None:
    status, _ = status_and_type

    assert 400 <= status <= 599


def test_a_fault_says_nothing_of_itself() -> None:
    status, _, body = internal_error()

    assert status == 500
    assert json.loads(body)["error"]["code"] == "INTERNAL"
