from __future__ import annotations

from datetime import UTC, datetime

import pytest

from keyturn_cli.audit_steps import Outcome, StepKind, parse_time, service_steps, vault_step
from tests.unit.keyturn_cli.audit_entries import (
    APP,
    KEY,
    LEASE,
    REQUEST_ID,
    decrypt,
    entry,
    gateway_record,
    kv_read,
)


def test_an_answer_of_vault_tells_who_did_what_for_whom() -> None:
    step = vault_step(kv_read(), REQUEST_ID)

    assert step is not None
    assert (step.kind, step.who, step.outcome) == (StepKind.KV_READ, "keyvault-svc", Outcome.OK)
    assert (step.app, step.key, step.lease) == (APP, KEY, LEASE)
    assert step.time == datetime(2026, 11, 20, 21, 8, 25, 90562, UTC)


@pytest.mark.parametrize(
    ("operation", "path", "kind"),
    [
        ("read", "keyturn-kv/data/users/alice/keys/openai", StepKind.KV_READ),
        ("update", "keyturn-kv/data/users/alice/keys/openai", StepKind.KV_WRITE),
        ("create", "keyturn-kv/data/users/alice/keys/openai", StepKind.KV_WRITE),
        ("update", "keyturn-kv/destroy/users/alice/keys/openai", StepKind.KV_DESTROY),
        ("delete", "keyturn-kv/metadata/users/alice/keys/openai", StepKind.KV_DESTROY),
        ("read", "keyturn-kv/metadata/users/alice/keys/openai", StepKind.KV_METADATA),
        ("list", "keyturn-kv/metadata/users/alice/keys", StepKind.KV_METADATA),
        ("update", "keyturn-transit/decrypt/openai", StepKind.DECRYPT),
        ("update", "keyturn-transit/encrypt/openai", StepKind.ENCRYPT),
        ("update", "keyturn-transit/rewrap/openai", StepKind.REWRAP),
        ("update", "sys/wrapping/wrap", StepKind.WRAP),
        ("update", "sys/wrapping/lookup", StepKind.WRAP_LOOKUP),
        ("update", "sys/wrapping/unwrap", StepKind.UNWRAP),
        ("update", "sys/wrapping/rewrap", StepKind.OTHER),
    ],
)
def test_an_operation_has_its_name(operation: str, path: str, kind: StepKind) -> None:
    step = vault_step(entry(operation, path, "keyvault-svc"), REQUEST_ID)

    assert step is not None
    assert step.kind == kind


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({"error": "1 error occurred:\n\t* permission denied\n\n"}, Outcome.DENIED),
        ({"error": "1 error occurred:\n\t* unsupported path\n\n"}, Outcome.FAILED),
        ({"data": {"error": "hmac-sha256:56af"}}, Outcome.FAILED),
        ({"data": {}}, Outcome.NOTHING_THERE),
        ({"kind": "request"}, Outcome.NO_ANSWER),
    ],
    ids=["denied", "failed", "failed inside", "nothing there", "no answer"],
)
def test_an_outcome_is_told_in_words(changes: dict[str, object], outcome: Outcome) -> None:
    step = vault_step(kv_read(**changes), REQUEST_ID)

    assert step is not None
    assert step.outcome == outcome


def test_an_entry_of_another_request_is_no_step() -> None:
    assert vault_step(kv_read(request_id="another-request"), REQUEST_ID) is None


@pytest.mark.parametrize(
    "damaged",
    [{}, {"request": []}, {"request": {"headers": {"x-keyturn-request-id": REQUEST_ID}}}],
    ids=["empty", "no request", "header not a list"],
)
def test_an_entry_of_another_form_is_no_step(damaged: dict[str, object]) -> None:
    assert vault_step(damaged, REQUEST_ID) is None


def test_a_caller_without_a_role_is_named_by_its_entity() -> None:
    made = decrypt()
    made["auth"]["metadata"] = None

    step = vault_step(made, REQUEST_ID)

    assert step is not None
    assert step.who == "5108eded-1049-acee-c574-76aa8a739fef"


def test_the_gateway_s_record_tells_of_the_app_s_call_and_of_its_own() -> None:
    app_call, upstream = service_steps(gateway_record(), REQUEST_ID)

    assert (app_call.kind, app_call.who, app_call.outcome) == (StepKind.APP_TO_GATEWAY, APP, "OK")
    assert app_call.time == datetime(2026, 11, 20, 21, 8, 24, 500000, UTC)
    assert (upstream.kind, upstream.who) == (StepKind.OPENAI, "gateway-svc")
    assert upstream.outcome == "HTTP 200 req_0a1b"


def test_a_refused_call_did_not_reach_openai() -> None:
    refused = gateway_record(
        http_status=None, code="PERMISSION_DENIED", reason="GRANT_REVOKED", lease=None
    )

    [step] = service_steps(refused, REQUEST_ID)

    assert step.outcome == "PERMISSION_DENIED GRANT_REVOKED"


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"method": "/keyturn.keyvault.v1.KeyLeaseService/AcquireLease"}, StepKind.LEASE),
        ({"method": "/keyturn.keyvault.v1.KeyService/GetKey"}, StepKind.OWNER_TO_KEY_SERVICE),
        ({"event": "lease_settled", "method": None}, StepKind.SETTLE),
        ({"event": "http", "method": "HTTP POST", "http_status": 0}, StepKind.APP_TO_GATEWAY),
        ({"event": "internal_error", "method": None}, StepKind.OTHER),
    ],
    ids=["lease", "owner", "settle", "http", "other"],
)
def test_a_service_s_record_has_its_name(changes: dict[str, object], kind: StepKind) -> None:
    [step] = service_steps(gateway_record(**changes), REQUEST_ID)

    assert step.kind == kind


@pytest.mark.parametrize("raw", [None, 5, "yesterday", ""])
def test_a_time_that_cannot_be_read_sorts_first(raw: object) -> None:
    assert parse_time(raw) < datetime(1970, 1, 1, tzinfo=UTC)
