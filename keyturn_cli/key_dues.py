"""What is due with a key: what keeps it from serving, and the dates that its owner must keep."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from keyturn.keyvault.v1 import key_pb2 as key_pb

SOON: Final = timedelta(days=7)
"""How long before its date something is due for the summary, too."""

# Until its owner does something, such a verification keeps a key waiting, or will stop it.
_UNMET: Final = {
    key_pb.VERIFICATION_OUTCOME_NO_QUOTA: "no quota",
    key_pb.VERIFICATION_OUTCOME_NO_PERMISSION: "no permission",
}
_LEAST_OF_A_UNIT: Final = 2  # "47 h", and from then on "2 d"


@dataclass(frozen=True, slots=True)
class Due:
    """One thing that is due.

    Attributes:
        text: What, and when.
        is_urgent: Whether the owner has to do something now or within `SOON`.
    """

    text: str
    is_urgent: bool


def dues_of(key: key_pb.Key, now: datetime) -> list[Due]:
    """Return what is due with *key* at *now*, the most urgent first."""
    if key.state == key_pb.KEY_STATE_DELETED:
        return [Due("its deletion broke off: delete it again", is_urgent=True)]
    return [*_of_current(key), *_of_incoming(key), *_of_dates(key, now)]


def summary(keys: Iterable[key_pb.Key], now: datetime) -> str:
    """Return in a line what is due with *keys* now or within `SOON`."""
    urgent = []
    for key in keys:
        texts = [due.text for due in dues_of(key, now) if due.is_urgent]
        if texts:
            urgent.append(f"{key.name.rpartition('/')[2]} ({', '.join(texts)})")
    return f"Due: {'; '.join(urgent)}." if urgent else "Nothing is due."


def age_of(key: key_pb.Key, now: datetime) -> str:
    """Return how long ago the plaintext of *key* went in."""
    if not key.HasField("rotate_time"):
        return ""
    return length(max(now - key.rotate_time.ToDatetime(UTC), timedelta()))


def length(time: timedelta) -> str:
    """Return *time*, rounded, in the largest unit that there are two of at least."""
    for unit, name in ((timedelta(days=1), "d"), (timedelta(hours=1), "h")):
        if time >= _LEAST_OF_A_UNIT * unit:
            return f"{round(time / unit)} {name}"
    return f"{round(time / timedelta(minutes=1))} min"


def _of_current(key: key_pb.Key) -> list[Due]:
    if key.state == key_pb.KEY_STATE_REJECTED:
        return [Due("rejected: rotate", is_urgent=True)]
    if key.state == key_pb.KEY_STATE_EXPIRED:
        return [Due("expired", is_urgent=True)]
    if key.state == key_pb.KEY_STATE_PENDING:
        return [_waiting("waits", key)]
    unmet = _UNMET.get(key.verification.outcome)
    if key.state == key_pb.KEY_STATE_ACTIVE and unmet is not None:
        return [Due(unmet, is_urgent=True)]
    return []


def _of_incoming(key: key_pb.Key) -> list[Due]:
    if not key.HasField("incoming"):
        return []
    if key.incoming.state == key_pb.KEY_STATE_REJECTED:
        return [Due("incoming rejected: rotate again", is_urgent=True)]
    return [_waiting("incoming waits", key.incoming)]


def _waiting(subject: str, version: key_pb.Key | key_pb.KeyVersion) -> Due:
    unmet = _UNMET.get(version.verification.outcome)
    if unmet is not None:
        return Due(f"{subject}: {unmet}", is_urgent=True)
    if version.verification.outcome == key_pb.VERIFICATION_OUTCOME_OPENAI_UNREACHABLE:
        return Due(f"{subject}: OpenAI unreachable, is tried again", is_urgent=False)
    return Due(f"{subject}: is being verified", is_urgent=False)


def _of_dates(key: key_pb.Key, now: datetime) -> list[Due]:
    """Return the dates ahead. A key that is expired or rejected has no need of them any more."""
    if key.state in (key_pb.KEY_STATE_EXPIRED, key_pb.KEY_STATE_REJECTED):
        return []
    dues = []
    if key.HasField("expire_time"):
        left: timedelta = key.expire_time.ToDatetime(UTC) - now
        text = f"expires in {length(left)}" if left > timedelta() else "expired"
        dues.append(Due(text, is_urgent=left <= SOON))
    # Switched off, it gets no older in use; a rotation under way is what was due.
    is_awaited = key.state == key_pb.KEY_STATE_ACTIVE and not key.HasField("incoming")
    if is_awaited and key.HasField("rotate_due_time"):
        due_time = key.rotate_due_time.ToDatetime(UTC)
        left = due_time - now
        if left > timedelta():
            text = f"rotate by {due_time:%Y-%m-%d} (in {length(left)})"
        else:
            text = f"rotation overdue by {length(-left)}"
        dues.append(Due(text, is_urgent=left <= SOON))
    return dues
