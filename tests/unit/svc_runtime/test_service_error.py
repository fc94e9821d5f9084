from __future__ import annotations

import pytest

from svc_runtime.service_error import (
    CallerNotAllowedError,
    CallerUnverifiedError,
    InvalidFieldError,
    ServiceError,
)


def test_a_broken_rule_is_told_with_its_field() -> None:
    error = InvalidFieldError("grant.app", "must be a SPIFFE ID")

    assert (error.field, error.rule) == ("grant.app", "must be a SPIFFE ID")
    assert error.public_message == "grant.app: must be a SPIFFE ID"


def test_one_broken_rule_does_not_change_the_text_of_another() -> None:
    first = InvalidFieldError("a", "rule")
    InvalidFieldError("b", "rule")

    assert first.public_message == "a: rule"


@pytest.mark.parametrize(
    "error",
    [InvalidFieldError("a", "rule"), CallerUnverifiedError(), CallerNotAllowedError()],
    ids=lambda error: type(error).__name__,
)
def test_the_text_of_the_exception_is_its_reason_alone(error: ServiceError) -> None:
    assert str(error) == error.reason
    assert error.args == (error.reason,)


@pytest.mark.parametrize("error", [InvalidFieldError, CallerUnverifiedError, CallerNotAllowedError])
def test_repeating_what_was_refused_does_not_help(error: type[ServiceError]) -> None:
    assert error.retry_after_seconds is None
