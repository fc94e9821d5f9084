from __future__ import annotations

import grpc
import pytest

from svc_runtime.error_details import (
    STATUS_DETAILS_KEY,
    field_violation_of,
    metadata_of,
    reason_of,
    retry_delay_of,
    status_of,
)
from svc_runtime.service_error import CallerNotAllowedError, InvalidFieldError, ServiceError


class _SlowDownError(ServiceError):
    reason = "RATE_LIMITED"
    public_message = "Too many requests."

    def __init__(self, grant: str, retry_after_seconds: float = 2.5) -> None:
        super().__init__()
        self.retry_after_seconds = retry_after_seconds
        self.details = {"grant": grant}


def _received(error: ServiceError) -> grpc.aio.AioRpcError:
    code = grpc.StatusCode.INTERNAL
    status = status_of(error, code, domain="test.keyturn", request_id="req-00000001")
    trailing = grpc.aio.Metadata((STATUS_DETAILS_KEY, status.SerializeToString()))
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), trailing)


def test_a_client_reads_back_what_the_server_wrote() -> None:
    error = _received(_SlowDownError("g1"))

    assert reason_of(error) == "RATE_LIMITED"
    assert metadata_of(error) == {"grant": "g1", "request_id": "req-00000001"}
    assert retry_delay_of(error) == 2.5
    assert field_violation_of(error) is None


def test_a_client_reads_back_field_and_rule() -> None:
    error = _received(InvalidFieldError("name", "must be short"))

    assert reason_of(error) == "INVALID_ARGUMENT"
    assert field_violation_of(error) == ("name", "must be short")
    assert retry_delay_of(error) is None


@pytest.mark.parametrize("seconds", [0.0, 0.001, 86400.0])
def test_a_time_to_wait_of_at_most_a_day_is_read(seconds: float) -> None:
    assert retry_delay_of(_received(_SlowDownError("g1", seconds))) == seconds


@pytest.mark.parametrize("seconds", [-1.0, 86400.001, 1e9, -1e9])
def test_a_time_to_wait_that_cannot_be_meant_counts_as_none(seconds: float) -> None:
    assert retry_delay_of(_received(_SlowDownError("g1", seconds))) is None


def test_the_status_holds_code_text_and_domain() -> None:
    status = status_of(
        CallerNotAllowedError(),
        grpc.StatusCode.PERMISSION_DENIED,
        domain="test.keyturn",
        request_id="req-00000001",
    )

    assert (status.code, status.message) == (7, CallerNotAllowedError.public_message)
    assert b"test.keyturn" in status.details[0].value
    assert [detail.type_url.rsplit(".", 1)[-1] for detail in status.details] == ["ErrorInfo"]


def test_a_retry_hint_is_there_where_a_retry_helps() -> None:
    status = status_of(
        _SlowDownError("g1"), grpc.StatusCode.UNAVAILABLE, domain="d", request_id="r"
    )

    kinds = [detail.type_url.rsplit(".", 1)[-1] for detail in status.details]
    assert kinds == ["ErrorInfo", "RetryInfo"]
    assert status.details[1].value == b"\x0a\x08\x08\x02\x10\x80\xca\xb5\xee\x01"  # 2.5 seconds


@pytest.mark.parametrize(
    "trailing",
    [
        None,
        grpc.aio.Metadata(),
        grpc.aio.Metadata(("other", "x")),
        grpc.aio.Metadata((STATUS_DETAILS_KEY, b"\xff\xff")),
        grpc.aio.Metadata((STATUS_DETAILS_KEY, b"")),
        grpc.aio.Metadata((STATUS_DETAILS_KEY, "text")),
    ],
    ids=["none", "no metadata", "other metadata", "malformed", "no details", "text"],
)
def test_an_error_without_usable_details_tells_nothing(
    trailing: grpc.aio.Metadata | None,
) -> None:
    error = grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, None, trailing)

    assert reason_of(error) is None
    assert metadata_of(error) == {}
    assert retry_delay_of(error) is None
    assert field_violation_of(error) is None
