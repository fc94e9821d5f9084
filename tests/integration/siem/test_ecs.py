"""Vector's programs make ECS documents of lines, as the page's tables say."""

from __future__ import annotations

import json

import pytest
import yaml

from gateway_svc.log_events import EVENTS as GATEWAY_EVENTS
from keyvault_svc.log_events import EVENTS as KEY_SERVICE_EVENTS
from svc_runtime.log_fields import LogField
from tests.architecture.documented_tables import code_words, table_rows
from tests.integration.siem.ecs import FOLDER, Form, document, flat, row
from tests.integration.siem.rules import recorded

PAGE = "docs/siem.md"
# Values that are read, not only carried.
SAMPLE = {
    LogField.EVENT: "rpc",
    LogField.CODE: "OK",
    LogField.DURATION_MS: 1.5,
    LogField.TIME: "2026-11-21T11:04:40.661798Z",
}
NANOSECONDS = 1_500_000


def _record(**fields: object) -> str:
    return json.dumps({"time": "2026-11-21T11:04:40.661798Z", "service": "gateway-svc", **fields})


def test_every_field_of_a_log_lands_where_the_page_says() -> None:
    record = {str(name): SAMPLE.get(name, f"<{name}>") for name in LogField}
    made = flat(document("keyturn", json.dumps(record)))
    expected = {
        code_words(field)[0]: code_words(target)[0]
        for field, target, *_ in table_rows(PAGE, "Fields of the services' logs", "field")
    }

    assert expected.keys() == {str(name) for name in LogField}
    assert {name: made.get(target) for name, target in expected.items()} == {
        **record,
        "duration_ms": NANOSECONDS,
    }


def test_fields_of_vaults_audit_log_land_where_the_page_says() -> None:
    line = recorded("ordinary_vault")[-1]
    made, entry = flat(document("vault", line)), row("vault", Form.RAW, line)
    listed = [
        (code_words(field)[0], code_words(target)[0])
        for field, target, *_ in table_rows(PAGE, "Fields of Vault's audit log", "field")
    ]
    carried = {
        field: (entry[field], made.get(target)) for field, target in listed if field in entry
    }

    assert len(carried) > 10
    assert [field for field, (was, became) in carried.items() if was != became] == []


def test_a_line_is_kept_as_it_was_written() -> None:
    line = _record(event="key_opening", chain="gateway-svc-0", seq=1, prev="0" * 64)

    assert document("keyturn", line)["event"]["original"] == line


def test_events_for_security_are_alerts() -> None:
    events = {event.name: event for event in (*GATEWAY_EVENTS, *KEY_SERVICE_EVENTS)}
    kinds = {name: document("keyturn", _record(event=name))["event"]["kind"] for name in events}

    assert {name for name, kind in kinds.items() if kind == "alert"} == {
        name for name, event in events.items() if event.is_security
    }


@pytest.mark.parametrize(
    ("code", "outcome", "types"),
    [
        ("OK", "success", ["access"]),
        ("200", "success", ["access"]),
        ("101", "success", ["access"]),
        ("PERMISSION_DENIED", "failure", ["access", "denied"]),
        ("UNAVAILABLE", "failure", ["access"]),
        ("401", "failure", ["access", "denied"]),
        ("CLIENT_GONE", "failure", ["access"]),
    ],
)
def test_the_outcome_of_a_call_is_told(code: str, outcome: str, types: list[str]) -> None:
    event = document("keyturn", _record(event="rpc", code=code))["event"]

    assert (event["outcome"], event["type"]) == (outcome, types)


def test_method_and_status_of_http_are_told() -> None:
    made = flat(document("keyturn", _record(event="http", method="HTTP POST", code="403")))

    assert (made["http.request.method"], made["http.response.status_code"]) == ("POST", 403)


def test_an_app_whose_status_is_no_number_has_none() -> None:
    made = flat(document("keyturn", _record(event="http", method="HTTP GET", code="CLIENT_GONE")))

    assert "http.response.status_code" not in made


@pytest.mark.parametrize("log", ["keyturn", "vault"])
@pytest.mark.parametrize("line", ["", "no JSON", "[1]", '"text"', '{"time":'])
def test_what_is_no_line_of_ours_is_kept_and_marked(log: str, line: str) -> None:
    event = document(log, line)["event"]

    assert (event["kind"], event["original"]) == ("pipeline_error", line)


def test_a_prefix_of_the_audit_device_is_no_part_of_the_entry() -> None:
    line = recorded("ordinary_vault")[-1]

    assert document("vault", f"@cee: {line}") == document("vault", line)


def test_vaults_hashed_data_are_left_out() -> None:
    made = flat(document("vault", recorded("ordinary_vault")[-1]))

    assert [
        name
        for name in made
        if "request.data" in name or "response.data" in name or ".headers" in name
    ] == []


def test_the_example_for_vector_names_the_programs() -> None:
    example = yaml.safe_load((FOLDER / "vector.yaml").read_text(encoding="utf-8"))
    named = {part["file"].rpartition("/")[2] for part in example["transforms"].values()}

    assert named == {path.name for path in FOLDER.glob("*.vrl")}
