"""What touched a key, as its history tells it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from keyturn_cli.audit.deployment import Act, Area, Who
from keyturn_cli.audit.operations import Operation

OK: Final = "ok"

_DATA: Final = {
    "read": "record read",
    "create": "record made",
    "update": "record changed",
    "patch": "record changed",
    "delete": "record deleted",
}
_RECORD: Final = {
    "subkeys": "record read",
    "destroy": "versions destroyed",
    "delete": "versions deleted",
    "undelete": "versions undeleted",
}
_METADATA: Final = {"read": "metadata read", "list": "metadata read", "delete": "key destroyed"}
_TRANSIT: Final = {
    "encrypt": "sealed",
    "rewrap": "sealed anew",
    "hmac": "fingerprint made",
    "decrypt": "opening tried",
}
_OFTEN: Final = frozenset({"record read", "metadata read", "fingerprint made"})


@dataclass(slots=True)
class KeyEvent:
    """Something that touched a key, or several alike within an hour.

    Attributes:
        time_us, last_us: When the first and the last happened.
        what: In words.
        who: The login's role at Vault, or the caller of a service.
        app: For which app; empty for none.
        outcome: `ok`, what went wrong, or a service's word.
        cause: The call of a service that it belongs to, with its caller; empty if that is not
            known, and where it stands for several.
        request_id: Of the first.
        source: Line of the first, `file:line`; empty where it is of several lines.
        count: How many there were.
    """

    time_us: int
    last_us: int
    what: str
    who: str
    app: str = ""
    outcome: str = OK
    cause: str = ""
    request_id: str = ""
    source: str = ""
    count: int = 1


def words_of(operation: Operation, act: Act, key: str) -> str:
    """Return what *operation* did to *key*; empty when it did nothing that is to be told."""
    entry = operation.entry
    if act.area is Area.RECORD and act.name == key:
        return _record_words(entry.operation, act.verb)
    if entry.key != key:
        return ""
    if act.area is Area.NOTES and entry.operation not in {"read", "list"}:
        return f"note: {act.name.partition('/')[0]}"
    if act.area is Area.TRANSIT:
        return _TRANSIT.get(act.verb, f"transit: {act.verb}")
    return f"hand-off: {act.verb}" if act.area is Area.WRAPPING else ""


def is_frequent(what: str, who: Who) -> bool:
    """Return whether *what* by *who* is daily business, of which one row an hour is enough."""
    is_expected = who in {Who.KEY_SERVICE, Who.MAINTENANCE}
    is_handoff = what.startswith("hand-off") and who in {Who.KEY_SERVICE, Who.GATEWAY}
    return is_handoff or (is_expected and (what in _OFTEN or what.startswith("note: ")))


def outcome_of(operation: Operation) -> str:
    """Return how Vault answered, in words."""
    if operation.is_denied:
        return "denied by Vault"
    if not operation.is_done:
        return "failed"
    return OK if operation.is_answered else "no answer"


def _record_words(operation: str, verb: str) -> str:
    if verb == "data":
        return _DATA.get(operation, f"record: {operation}")
    if verb == "metadata":
        return _METADATA.get(operation, "metadata changed")
    return _RECORD.get(verb, f"record: {verb}")
