from __future__ import annotations

from collections.abc import Iterable

import pytest

from keyturn_cli.audit.deployment import Deployment
from keyturn_cli.audit.key_event import KeyEvent
from keyturn_cli.audit.key_history import KeyHistory
from keyturn_cli.audit.options import VerifyOptions
from keyturn_cli.audit.time_span import TimeSpan
from tests.unit.keyturn_cli.audit.key_use_lines import (
    APP,
    GATEWAY,
    KEY,
    asked,
    lease_at,
    opening_line,
    read_line,
    service_line,
    service_record,
    time_us,
    use_lines,
    vault_entry,
)

OTHER = "users/bob/keys/openai"
RECORD = f"keyturn-kv/data/{KEY}"
SERVICE = "/keyturn.keyvault.v1."


def _history(
    *lines: bytes, is_whole: bool = False, span: TimeSpan | None = None, max_events: int = 100
) -> tuple[list[KeyEvent], KeyHistory]:
    """Return the events of *lines*: those of the key service's log name their service."""
    history = KeyHistory(
        KEY,
        Deployment(VerifyOptions()),
        span or TimeSpan(),
        is_whole=is_whole,
        max_events=max_events,
    )
    for number, line in enumerate(lines, 1):
        if b'"service"' in line:
            history.see_service(service_record(line, number))
        else:
            history.see_vault(vault_entry(line, number))
    return history.finish(), history


def _told(events: Iterable[KeyEvent]) -> list[tuple[str, str, int]]:
    return [(event.what, event.app, event.count) for event in events]


def test_uses_by_one_app_are_one_row_an_hour() -> None:
    other = "spiffe://keyturn.local/app/other"

    events, _ = _history(*use_lines(0), *use_lines(10), *use_lines(20, app=other), *use_lines(3600))

    assert _told(events) == [("opened", APP, 2), ("opened", other, 1), ("opened", APP, 1)]
    assert (events[0].time_us, events[0].last_us) == (time_us(0.005), time_us(10.005))


def test_each_use_is_a_row_if_all_are_asked_for() -> None:
    events, _ = _history(*use_lines(0), *use_lines(10), is_whole=True)

    assert _told(events) == [("opened", APP, 1), ("opened", APP, 1)]


def test_other_keys_are_not_told() -> None:
    events, _ = _history(
        *use_lines(0, key=OTHER), asked(1, "update", f"keyturn-kv/data/{OTHER}", key=OTHER)
    )

    assert not events


@pytest.mark.parametrize(
    ("operation", "path", "what"),
    [
        ("create", RECORD, "record made"),
        ("update", RECORD, "record changed"),
        ("patch", RECORD, "record changed"),
        ("delete", RECORD, "record deleted"),
        ("read", RECORD, "record read"),
        ("read", f"keyturn-kv/subkeys/{KEY}", "record read"),
        ("read", f"keyturn-kv/metadata/{KEY}", "metadata read"),
        ("delete", f"keyturn-kv/metadata/{KEY}", "key destroyed"),
        ("update", f"keyturn-kv/metadata/{KEY}", "metadata changed"),
        ("update", f"keyturn-kv/destroy/{KEY}", "versions destroyed"),
        ("update", f"keyturn-kv/undelete/{KEY}", "versions undeleted"),
        ("update", "keyturn-transit/encrypt/openai", "sealed"),
        ("update", "keyturn-transit/rewrap/openai", "sealed anew"),
        ("update", "keyturn-transit/hmac/fingerprint", "fingerprint made"),
        ("update", "sys/wrapping/wrap", "hand-off: wrap"),
        ("update", "keyturn-kv/data/verifications/hash", "note: verifications"),
    ],
)
def test_what_touches_a_key_is_told_in_words(operation: str, path: str, what: str) -> None:
    events, _ = _history(asked(0, operation, path))

    assert [(event.what, event.who) for event in events] == [(what, "keyvault-svc")]


def test_a_read_of_a_note_is_not_told() -> None:
    assert not _history(asked(0, "read", "keyturn-kv/data/fingerprints/hash"))[0]


def test_what_somebody_else_does_is_told_each_time_and_found() -> None:
    lines = [asked(second, "read", RECORD, "snoop", key="") for second in (0, 1)]

    events, history = _history(*lines)

    assert [(event.what, event.who, event.source) for event in events] == [
        ("record read", "snoop", "audit.log:1"),
        ("record read", "snoop", "audit.log:2"),
    ]
    assert {finding.code for finding in history.findings} == {"RECORD_READ_BY_OTHER"}


def test_a_read_by_somebody_else_is_told_whatever_lease_it_names() -> None:
    events, _ = _history(read_line(0, lease_at(0), role="snoop"))

    assert [(event.what, event.who) for event in events] == [("record read", "snoop")]


def test_findings_on_other_keys_are_not_told() -> None:
    path = f"keyturn-kv/data/{OTHER}"

    _, history = _history(asked(0, "read", path, "snoop", key=""))

    assert not history.findings


def test_an_opening_past_the_rules_stands_for_itself() -> None:
    events, history = _history(
        asked(-3600, "read", "sys/health"),
        *use_lines(0),
        opening_line(1, lease_at(0)),
    )

    assert _told(events) == [("opened", APP, 1), ("opened past the rules", APP, 1)]
    assert "LEASE_OPENED_TWICE" in {finding.code for finding in history.findings}


def test_openings_past_the_rules_are_a_row_each() -> None:
    events, _ = _history(*(opening_line(second, "", role="root") for second in (0, 1)))

    assert _told(events) == [("opened past the rules", APP, 1)] * 2


def test_what_nobody_answered_before_the_end_is_told() -> None:
    events, _ = _history(asked(0, "update", RECORD, kind="request"))

    assert [(event.what, event.outcome) for event in events] == [("record changed", "no answer")]


def test_an_opening_that_names_no_key_may_be_of_this_one() -> None:
    events, _ = _history(opening_line(0, "", role="root", key="", app=""))

    assert [(event.what, event.who) for event in events] == [
        ("some key opened past the rules", "root")
    ]


def test_a_denied_operation_is_told_as_such() -> None:
    events, _ = _history(
        asked(0, "update", "keyturn-transit/decrypt/openai", error="1 error: permission denied")
    )

    assert [(event.what, event.outcome) for event in events] == [
        ("opening tried", "denied by Vault")
    ]


def test_a_verification_is_told_with_its_outcome() -> None:
    method = f"{SERVICE}KeyVerificationService/ReportVerification"

    events, _ = _history(
        asked(0, "update", "keyturn-kv/data/verifications/hash", request="claim"),
        *use_lines(1, app=GATEWAY, request="claim"),
        service_line(
            *(3,), event="rpc", method=method, key=KEY, outcome="verified", caller=GATEWAY
        ),
    )

    assert [(event.what, event.outcome) for event in events] == [
        ("note: verifications", "ok"),
        ("opened to verify it", "ok"),
        ("verification", "verified"),
    ]


def test_the_log_of_the_key_service_tells_who_was_behind_a_change() -> None:
    method = f"{SERVICE}KeyService/RotateKey"

    events, _ = _history(
        asked(0, "update", RECORD, request="rotation"),
        service_line(
            *(0.5,), event="rpc", method=method, key=KEY, request_id="rotation", caller="alice"
        ),
    )

    assert [event.cause for event in events] == ["RotateKey by alice"]


def test_the_log_of_the_key_service_tells_why_an_app_was_refused() -> None:
    method = f"{SERVICE}KeyLeaseService/AcquireLease"
    refused = {"event": "rpc", "method": method, "key": KEY, "app": APP, "request_id": "request"}

    events, _ = _history(
        read_line(0, lease_at(0)), service_line(0.1, **refused, reason="NOT_GRANTED")
    )

    assert [(event.what, event.outcome) for event in events] == [("not opened", "NOT_GRANTED")]


def test_a_call_that_was_refused_is_told_with_its_caller() -> None:
    call = {"event": "rpc", "method": f"{SERVICE}KeyService/GetKey", "key": KEY, "caller": "bob"}

    events, _ = _history(service_line(0, **call, reason="NOT_THE_OWNER"))

    assert [(event.what, event.who, event.outcome) for event in events] == [
        ("call refused: GetKey", "bob", "NOT_THE_OWNER")
    ]


@pytest.mark.parametrize(
    "subject",
    [{"key": KEY}, {"owner": "users/alice"}, {"key": "*", "owner": "*", "app": "*"}],
    ids=["key", "owner", "everything"],
)
def test_what_operators_stop_is_told(subject: dict[str, str]) -> None:
    events, _ = _history(service_line(0, event="suspended", caller="olga", **subject))

    assert [(event.what, event.who) for event in events] == [("suspended", "olga")]


def test_what_operators_stop_elsewhere_is_not_told() -> None:
    assert not _history(service_line(0, event="suspended", caller="olga", owner="users/bob"))[0]


def test_only_what_is_in_the_span_is_told() -> None:
    events, history = _history(
        asked(0, "read", RECORD, "snoop"),
        *use_lines(100),
        span=TimeSpan(time_us(50)),
    )

    assert _told(events) == [("opened", APP, 1)]
    assert "RECORD_READ_BY_OTHER" not in {finding.code for finding in history.findings}


def test_what_is_too_much_to_keep_is_counted() -> None:
    lines = [asked(second, "update", RECORD) for second in range(5)]

    events, history = _history(*lines, max_events=3)

    assert len(events) == 3
    assert history.left_out_count == 2
