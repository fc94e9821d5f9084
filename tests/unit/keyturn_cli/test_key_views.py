from __future__ import annotations

from datetime import timedelta

import pytest

from keyturn.keyvault.v1 import key_pb2 as key_pb
from keyturn.keyvault.v1 import limits_pb2 as limits_pb
from keyturn_cli.key_views import (
    KEY_COLUMNS,
    key_document,
    key_fields,
    key_row,
    proof_words,
    state_word,
)
from tests.unit.keyturn_cli.key_messages import NAME, NOW, key_message, with_incoming


def test_a_document_has_every_field_of_the_record() -> None:
    assert set(key_document(key_message())) == set(key_pb.Key.DESCRIPTOR.fields_by_name)


def test_the_document_of_a_version_has_every_field_of_it() -> None:
    document = key_document(with_incoming(key_message(), key_pb.VERIFICATION_OUTCOME_NO_QUOTA))

    incoming = document["incoming"]
    assert incoming is not None
    assert set(incoming) == set(key_pb.KeyVersion.DESCRIPTOR.fields_by_name)
    assert incoming["verification"] == {
        "outcome": "no_quota",
        "verify_time": "2026-11-20T11:00:00Z",
    }


def test_what_is_absent_is_null() -> None:
    document = key_document(key_pb.Key(name=NAME))

    absent = {name for name, value in document.items() if value is None}
    assert absent == {
        *("create_time", "rotate_time", "expire_time", "rotate_due_time"),
        *("base_url", "openai_key_id", "verification", "incoming", "retiring"),
    }


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (limits_pb.Limits(), "none"),
        (
            limits_pb.Limits(tokens_per_day=2_000_000, usd_per_day="1.5", usd_per_month="1234.125"),
            "tokens per day 2,000,000, USD per day 1.50, USD per month 1,234.125",
        ),
    ],
)
def test_limits_are_told_in_words(limits: limits_pb.Limits, words: str) -> None:
    key = key_message()
    key.limits.CopyFrom(limits)

    assert dict(key_fields(key, NOW))["limits"] == words


def test_a_row_tells_state_age_and_what_is_due() -> None:
    key = key_message(expires_in=timedelta(days=2), due_in=timedelta(days=-3))

    row = dict(zip(KEY_COLUMNS, key_row(key, NOW), strict=True))

    assert (row["state"], row["age"]) == ("active", "3 d")
    assert row["due"] == "expires in 2 d; rotation overdue by 3 d"


@pytest.mark.parametrize("state", key_pb.KeyState.values())
def test_every_state_has_a_word(state: key_pb.KeyState.ValueType) -> None:
    assert state_word(state).isalpha()


def test_fields_tell_of_the_versions_beside_the_current_one() -> None:
    key = with_incoming(key_message(), key_pb.VERIFICATION_OUTCOME_NO_PERMISSION)
    key.retiring.key_version = 1
    key.retiring.state = key_pb.KEY_STATE_RETIRING
    key.retiring.destroy_time.FromDatetime(NOW)

    fields = dict(key_fields(key, NOW))

    assert fields["verification"] == "none has ended yet"
    assert "no permission, 2026-11-20 11:00Z" in fields["incoming"]
    assert fields["retiring"] == (
        "version 1, kept to undo the rotation, destroyed at 2026-11-20 12:00Z"
    )
    assert (fields["expires"], fields["rotate by"]) == ("never", "none")


def test_a_proof_is_a_sentence() -> None:
    proof = key_pb.DeletionProof(key=NAME, destroyed_version_count=1)
    proof.confirm_time.FromDatetime(NOW)

    assert proof_words(proof).startswith(f"Destroyed {NAME}: 1 stored version of its record")
    assert "2026-11-20 12:00Z" in proof_words(proof)
