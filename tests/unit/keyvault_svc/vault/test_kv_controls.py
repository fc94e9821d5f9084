from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from keyvault_svc.domain.controls import Controls, Subject, Suspension
from keyvault_svc.domain.errors import (
    KeyChangedMeanwhileError,
    KeyRecordUnreadableError,
    TooManySuspensionsError,
)
from keyvault_svc.domain.limits import Limits
from keyvault_svc.domain.names import KeyName, OwnerName
from keyvault_svc.domain.ports import AuditTags
from keyvault_svc.vault.kv_controls import MAX_BYTES, KvControls
from keyvault_svc.vault.kv_documents import KvDocuments
from keyvault_svc.vault.paths import CONTROLS
from svc_runtime.service_error import InvalidFieldError
from svc_runtime.vault.errors import VaultUnavailableError
from tests.fakes.fake_clock import START
from tests.fakes.fake_kv_engine import FakeKvEngine

TAGS = AuditTags("request-0001", "users/alice/keys/openai", "0" * 32, "spiffe://example.org/a")
SUSPENSIONS = [
    Suspension(Subject.parse(subject, "subject"), reason, "olga", START)
    for subject, reason in [
        ("users/bob/keys/openai", "leaked"),
        ("teams/payments", "caf\u00e9 \U0001f512"),
        ("spiffe://example.org/app/billing", "loops"),
        ("*", "drill"),
    ]
]
FULL = Controls(
    {suspension.subject: suspension for suspension in SUSPENSIONS},
    {
        OwnerName.parse("users/alice", "owner"): Limits(
            concurrent_calls=3, tokens_per_day=10**12, usd_per_month=Decimal("12.500001")
        ),
        OwnerName.parse("teams/search", "owner"): Limits(),
    },
)


def _stored(engine: FakeKvEngine) -> dict[str, Any]:
    data = engine.versions[CONTROLS][max(engine.versions[CONTROLS])]
    assert data is not None
    fields = json.loads(data["record"])
    assert isinstance(fields, dict)
    return fields


async def test_controls_come_back_as_they_went_in() -> None:
    engine = FakeKvEngine()
    await KvControls(KvDocuments(engine.session)).write(FULL, TAGS)

    controls = await KvControls(KvDocuments(engine.session)).read(TAGS)

    assert controls == replace(FULL, revision=1)
    assert list(controls.suspensions.values()) == SUSPENSIONS


async def test_while_nothing_is_stored_nothing_is_stopped() -> None:
    assert await KvControls(KvDocuments(FakeKvEngine().session)).read(TAGS) == Controls()


async def test_a_lease_reads_them_by_one_request_that_says_which_lease() -> None:
    engine = FakeKvEngine()
    controls = KvControls(KvDocuments(engine.session))
    await controls.write(FULL, TAGS)
    engine.headers.clear()
    engine.line.requests.clear()

    await controls.read(TAGS)

    assert engine.line.requests == ["get data/operator/controls"]
    assert engine.headers == [
        {
            "X-Keyturn-Request-Id": TAGS.request_id,
            "X-Keyturn-Key": TAGS.key,
            "X-Keyturn-Lease": TAGS.lease_id,
            "X-Keyturn-App": TAGS.app,
        }
    ]


async def test_every_read_sees_what_another_replica_wrote() -> None:
    engine = FakeKvEngine()
    ours, theirs = (KvControls(KvDocuments(engine.session)) for _ in range(2))
    await theirs.write(FULL, TAGS)
    assert (await ours.read(TAGS)).suspensions == FULL.suspensions

    await theirs.write(Controls(revision=1), TAGS)

    assert await ours.read(TAGS) == Controls(revision=2)


async def test_an_outage_is_no_pass_even_when_they_were_read_before() -> None:
    engine = FakeKvEngine()
    controls = KvControls(KvDocuments(engine.session))
    await controls.write(FULL, TAGS)
    await controls.read(TAGS)
    engine.line.break_at(1)

    with pytest.raises(VaultUnavailableError):
        await controls.read(TAGS)


async def test_of_two_writers_one_is_refused() -> None:
    controls = KvControls(KvDocuments(FakeKvEngine().session))
    await controls.write(FULL, TAGS)

    with pytest.raises(KeyChangedMeanwhileError):
        await controls.write(Controls(), TAGS)


async def test_more_text_than_a_lease_should_read_is_refused() -> None:
    engine = FakeKvEngine()
    apps = [f"spiffe://example.org/{'a' * 1900}/{n}" for n in range(MAX_BYTES // 1900)]
    many = [Suspension(Subject.parse(app, "subject"), "loops", "olga", START) for app in apps]

    with pytest.raises(TooManySuspensionsError):
        await KvControls(KvDocuments(engine.session)).write(
            Controls({suspension.subject: suspension for suspension in many}), TAGS
        )

    assert engine.versions == {}


_STOP: dict[str, object] = {
    "subject": "*",
    "reason": "drill",
    "creator": "olga",
    "create_time": "2026-03-01T00:00:00+00:00",
}


@pytest.mark.parametrize(
    "changes",
    [
        {"schema_version": 2},
        {"schema_version": None},
        {"more": 1},
        {"suspensions": None},
        {"suspensions": {}},
        {"suspensions": [{**_STOP, "subject": "everything"}]},
        {"suspensions": [{**_STOP, "subject": ""}]},
        {"suspensions": [{**_STOP, "reason": ""}]},
        {"suspensions": [{**_STOP, "create_time": "2026-03-01T00:00:00"}]},
        {"suspensions": [{**_STOP, "until": "tomorrow"}]},
        {"suspensions": [_STOP, {"subject": "users/bob"}]},
        {"owner_limits": [{"owner": "alice"}]},
        {"owner_limits": [{"owner": "users/alice", "limits": {"tokens_per_day": 0}}]},
        {"owner_limits": [{"owner": "users/alice", "limits": {"usd_per_year": "5"}}]},
    ],
    ids=str,
)
async def test_what_is_not_understood_in_whole_is_refused(changes: dict[str, object]) -> None:
    engine = FakeKvEngine()
    controls = KvControls(KvDocuments(engine.session))
    await controls.write(FULL, TAGS)
    engine.versions[CONTROLS][1] = {"record": json.dumps({**_stored(engine), **changes})}

    with pytest.raises(KeyRecordUnreadableError):
        await controls.read(TAGS)


@pytest.mark.parametrize("text", ["", "{}", "null", "[]", "{", '{"schema_version": 1}'])
async def test_what_is_no_document_of_controls_is_refused(text: str) -> None:
    engine = FakeKvEngine()
    engine.versions[CONTROLS] = {1: {"record": text}}

    with pytest.raises(KeyRecordUnreadableError):
        await KvControls(KvDocuments(engine.session)).read(TAGS)


def test_no_key_and_no_owner_lies_where_the_controls_do() -> None:
    for parse in (KeyName.parse, OwnerName.parse):
        with pytest.raises(InvalidFieldError):
            parse(CONTROLS, "name")
