from __future__ import annotations

from typing import Any

import pytest

from keyturn_cli.audit_trail import AuditTrail, AuditTrailBuilder, VerdictKind
from tests.unit.keyturn_cli.audit_entries import (
    LEASE,
    REQUEST_ID,
    decrypt,
    entry,
    gateway_record,
    kv_read,
)

DENIED = "1 error occurred:\n\t* permission denied\n\n"


def _trail(
    *entries: dict[str, Any] | None, records: list[dict[str, Any]] | None = None
) -> AuditTrail:
    builder = AuditTrailBuilder(REQUEST_ID)
    builder.add_vault_log(entries)
    builder.add_service_log(records or [])
    return builder.trail()


def test_one_read_and_one_decrypt_under_one_lease_are_a_complete_chain() -> None:
    trail = _trail(kv_read(kind="request"), kv_read(), decrypt(kind="request"), decrypt())

    assert trail.verdict.kind == VerdictKind.COMPLETE
    assert LEASE in trail.verdict.sentences[0]
    assert [step.kind for step in trail.steps] == ["KV read", "decrypt"]


def test_steps_of_all_logs_are_in_the_order_in_which_they_began() -> None:
    trail = _trail(decrypt(), kv_read(), records=[gateway_record()])

    assert [step.kind for step in trail.steps] == ["app -> gateway", "KV read", "decrypt", "OpenAI"]


def test_two_requests_under_one_id_are_two_chains() -> None:
    other = "f" * 32

    trail = _trail(kv_read(), decrypt(), kv_read(lease=other), decrypt(lease=other))

    assert trail.verdict.kind == VerdictKind.COMPLETE
    assert len(trail.verdict.sentences) == 2


def test_an_operation_in_the_logs_of_two_audit_devices_counts_once() -> None:
    trail = _trail(kv_read(), decrypt(), kv_read(), decrypt())

    assert (trail.verdict.kind, len(trail.steps)) == (VerdictKind.COMPLETE, 2)


@pytest.mark.parametrize("order", [("request", "response"), ("response", "request")])
def test_an_answer_wins_over_its_request_in_either_order(order: tuple[str, str]) -> None:
    first, second = order

    trail = _trail(decrypt(), kv_read(kind=first), kv_read(kind=second))

    assert trail.verdict.kind == VerdictKind.COMPLETE


def test_a_read_without_a_decrypt_is_a_refused_request() -> None:
    trail = _trail(kv_read())

    assert trail.verdict.kind == VerdictKind.INCOMPLETE
    assert "no decrypt by gateway-svc" in trail.verdict.sentences[0]


def test_a_decrypt_that_got_no_answer_is_not_done() -> None:
    trail = _trail(kv_read(), decrypt(kind="request"))

    assert trail.verdict.kind == VerdictKind.INCOMPLETE
    assert "decrypt: no answer" in trail.verdict.sentences[0]


SUSPECT = {
    "a decrypt without a read": [decrypt()],
    "a decrypt by the key service": [kv_read(), decrypt(role="keyvault-svc")],
    "a read by the gateway": [kv_read(role="gateway-svc"), decrypt()],
    "two decrypts": [kv_read(), decrypt(), decrypt(operation_id="another")],
    "two reads": [kv_read(), kv_read(operation_id="another"), decrypt()],
    "a decrypt without a lease": [kv_read(), decrypt(lease="")],
    "a denied read": [
        kv_read(),
        decrypt(),
        kv_read(role="gateway-svc", error=DENIED, operation_id="another"),
    ],
}


@pytest.mark.parametrize("entries", SUSPECT.values(), ids=SUSPECT.keys())
def test_what_may_not_happen_is_suspect(entries: list[dict[str, Any]]) -> None:
    assert _trail(*entries).verdict.kind == VerdictKind.SUSPECT


def test_entries_without_vault_s_id_are_not_merged_away() -> None:
    twice = [decrypt(), decrypt()]
    for made in twice:
        del made["request"]["id"]

    assert _trail(kv_read(), *twice).verdict.kind == VerdictKind.SUSPECT


def test_an_owner_s_action_has_no_lease() -> None:
    write = entry("update", "keyturn-kv/data/users/alice/keys/openai", "keyvault-svc", lease="")

    assert _trail(kv_read(lease=""), write).verdict.kind == VerdictKind.OWNER_ACTION


def test_service_logs_alone_prove_nothing() -> None:
    assert _trail(records=[gateway_record()]).verdict.kind == VerdictKind.INCOMPLETE


def test_no_trace_is_told_apart_and_bad_lines_are_counted() -> None:
    trail = _trail(kv_read(request_id="another-request"), None, None)

    assert trail.verdict.kind == VerdictKind.NOT_FOUND
    assert (trail.bad_vault_line_count, trail.bad_service_line_count) == (2, 0)


def test_the_rewrap_job_may_read_records_and_under_no_lease() -> None:
    its_own = _trail(kv_read(role="keyvault-maintenance", lease=""))
    under_a_lease = _trail(kv_read(role="keyvault-maintenance"))

    assert its_own.verdict.kind == VerdictKind.OWNER_ACTION
    assert under_a_lease.verdict.kind == VerdictKind.SUSPECT
