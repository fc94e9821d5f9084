"""What only the services may touch: records, controls, notes, and the keys that seal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from keyturn_cli.audit.deployment import SERVICES, Act, Area, Deployment, Who
from keyturn_cli.audit.findings import Finding
from keyturn_cli.audit.operation_rule import OperationRule
from keyturn_cli.audit.operations import Operation

_KEY_AREAS: Final = frozenset({Area.RECORD, Area.CONTROLS, Area.NOTES, Area.TRANSIT})
_CHANGES: Final = frozenset({"create", "update", "patch", "delete"})
_TRANSIT_CODES: Final = {
    "decrypt": "DECRYPT_BY_OTHER",
    "encrypt": "ENCRYPT_BY_OTHER",
    "datakey": "ENCRYPT_BY_OTHER",
    "hmac": "HMAC_BY_OTHER",
    "rewrap": "REWRAP_BY_OTHER",
    "sign": "SIGN_BY_OTHER",
    "verify": "HMAC_BY_OTHER",
}


class Touches(OperationRule):
    """Judges operations on Keyturn's mounts by who did them."""

    def __init__(self, deployment: Deployment) -> None:
        options = deployment.options
        self._allowed = {
            ("decrypt", options.transit_key): Who.GATEWAY,
            ("encrypt", options.transit_key): Who.KEY_SERVICE,
            ("rewrap", options.transit_key): Who.MAINTENANCE,
            ("hmac", "fingerprint"): Who.KEY_SERVICE,
            ("sign", f"audit-{options.key_service_role}"): Who.KEY_SERVICE,
            ("sign", f"audit-{options.gateway_role}"): Who.GATEWAY,
        }

    def see(self, operation: Operation, act: Act) -> Iterator[Finding]:
        """Look at what was done to keys and by whom."""
        if operation.is_denied:
            yield from _denied(operation, act)
        elif operation.is_done and act.area in _KEY_AREAS:
            code = self._code(operation, act)
            if code:
                yield Finding(code, operation.entry.time_us, operation.places, operation.facts())

    def _code(self, operation: Operation, act: Act) -> str:
        if act.area is Area.TRANSIT:
            if self._allowed.get((act.verb, act.name)) is act.who:
                return ""
            return _TRANSIT_CODES.get(act.verb, "")
        if act.who is Who.KEY_SERVICE or act.who is Who.MAINTENANCE:
            # Each within its rights, which have a rule of their own.
            return "RECORD_KEY_DIFFERS" if _names_another(operation, act) else ""
        if act.area is Area.RECORD:
            return _record_code(operation, act)
        if act.area is Area.CONTROLS and operation.entry.operation in _CHANGES:
            return "CONTROLS_CHANGED_BY_OTHER"
        return "NOTES_TOUCHED_BY_OTHER"


def _denied(operation: Operation, act: Act) -> Iterable[Finding]:
    if act.who in SERVICES:
        code = "SERVICE_DENIED"
    elif act.area in _KEY_AREAS and (operation.entry.accessor or operation.entry.policies):
        code = "OTHER_DENIED"  # a token that is good for something else; batch tokens: no accessor
    else:
        return ()
    return (Finding(code, operation.entry.time_us, operation.places, operation.facts()),)


def _names_another(operation: Operation, act: Act) -> bool:
    """Return whether a service names another key than the one whose record it touches."""
    entry = operation.entry
    if act.area is not Area.RECORD or not entry.key or entry.operation == "list":
        return False
    # Under no lease it reads others too: those that hold the same plaintext.
    is_look = entry.operation == "read" and not entry.lease
    return entry.key != act.name and not is_look


def _record_code(operation: Operation, act: Act) -> str:
    change = operation.entry.operation
    if act.verb in {"data", "metadata"} and change in {"create", "update", "patch"}:
        return "RECORD_WRITTEN_BY_OTHER"
    if act.verb in {"data", "subkeys"} and change == "read":
        return "RECORD_READ_BY_OTHER"
    if change in _CHANGES:
        return "RECORD_DESTROYED_BY_OTHER"
    return "RECORDS_LISTED_BY_OTHER"
