"""Records of keys as the key service sends them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from keyturn.keyvault.v1 import key_pb2 as key_pb

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
NAME = "users/alice/keys/openai"

Outcome: TypeAlias = key_pb.VerificationOutcome.ValueType
State: TypeAlias = key_pb.KeyState.ValueType


def key_message(
    state: State = key_pb.KEY_STATE_ACTIVE,
    outcome: Outcome | None = None,
    *,
    number: int = 1,
    expires_in: timedelta | None = None,
    due_in: timedelta | None = None,
) -> key_pb.Key:
    """Return a key; *outcome* is what was found an hour before `NOW`."""
    key = key_pb.Key(
        name=NAME,
        state=state,
        key_version=number,
        creator="alice",
        assurance=key_pb.KEY_ASSURANCE_STANDARD,
    )
    key.create_time.FromDatetime(NOW - timedelta(days=30))
    key.rotate_time.FromDatetime(NOW - timedelta(days=3))
    if outcome is not None:
        found(key, outcome)
    if expires_in is not None:
        key.expire_time.FromDatetime(NOW + expires_in)
    if due_in is not None:
        key.rotate_due_time.FromDatetime(NOW + due_in)
    return key


def with_incoming(
    key: key_pb.Key,
    outcome: Outcome | None = None,
    state: State = key_pb.KEY_STATE_PENDING,
) -> key_pb.Key:
    """Return *key* with a rotation under way."""
    key.incoming.key_version = key.key_version + 1
    key.incoming.state = state
    if outcome is not None:
        found(key.incoming, outcome)
    return key


def found(
    version: key_pb.Key | key_pb.KeyVersion, outcome: Outcome, time: datetime | None = None
) -> None:
    """Have *version* tell a verification, by default of an hour before `NOW`."""
    version.verification.outcome = outcome
    version.verification.verify_time.FromDatetime(time or NOW - timedelta(hours=1))
