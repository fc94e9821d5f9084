from __future__ import annotations

import io
import json
from collections.abc import Iterator

import pytest
import structlog

from keyvault_svc.domain.controls import Subject, Suspension
from keyvault_svc.domain.limits import Limits
from keyvault_svc.domain.names import OwnerName
from keyvault_svc.security_log import StructuredSecurityLog
from svc_runtime.logging_setup import configure_logging
from tests.fakes.fake_clock import START
from tests.unit.keyvault_svc.servicer_calls import ALICE, call_by

ALICE_OWNER = OwnerName.parse("users/alice", "owner")


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    configure_logging("keyvault-svc", stream)
    yield stream
    structlog.reset_defaults()


def _told(stream: io.StringIO) -> dict[str, object]:
    (line,) = stream.getvalue().splitlines()
    record = json.loads(line)
    assert record.pop("service") == "keyvault-svc"
    assert record.pop("time")
    assert record.pop("request_id")
    assert isinstance(record, dict)
    return record


@pytest.mark.parametrize(
    ("subject", "fields"),
    [
        ("users/alice", {"owner": "users/alice"}),
        ("users/alice/keys/openai", {"key": "users/alice/keys/openai"}),
        ("spiffe://example.org/app/a", {"app": "spiffe://example.org/app/a"}),
        ("*", {"key": "*", "owner": "*", "app": "*"}),
    ],
)
def test_a_stop_is_told_without_its_reason(
    stream: io.StringIO, subject: str, fields: dict[str, str]
) -> None:
    parsed = Subject.parse(subject, "subject")

    with call_by(ALICE):
        StructuredSecurityLog().suspended(Suspension(parsed, "canary text", "olga", START))

    expected = {"event": "suspended", "level": "warning", "caller": "olga", **fields}
    assert _told(stream) == expected
    assert "canary" not in stream.getvalue()


def test_the_end_of_a_stop_is_told(stream: io.StringIO) -> None:
    with call_by(ALICE):
        StructuredSecurityLog().resumed(Subject(ALICE_OWNER), "olga")

    expected = {
        "event": "resumed",
        "level": "warning",
        "caller": "olga",
        "owner": "users/alice",
    }
    assert _told(stream) == expected


@pytest.mark.parametrize(
    ("limits", "event"), [(Limits(), "owner_limits_set"), (None, "owner_limits_removed")]
)
def test_limits_of_an_owner_are_told(
    stream: io.StringIO, limits: Limits | None, event: str
) -> None:
    with call_by(ALICE):
        StructuredSecurityLog().owner_limits_set(ALICE_OWNER, limits, "olga")

    assert (_told(stream)["event"], _told(stream)["owner"]) == (event, "users/alice")
