"""Lines of the logs that uses of keys leave, each at a second of one day."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from keyturn_cli.audit.entries import (
    Place,
    ServiceRecord,
    VaultEntry,
    parse_service_line,
    parse_vault_line,
)

APP: Final = "spiffe://keyturn.local/app/demo"
GATEWAY: Final = "spiffe://keyturn.local/gateway-svc"
KEY: Final = "users/alice/keys/openai"
START: Final = datetime(2026, 2, 3, 10, tzinfo=UTC)
_MOUNTS: Final = {"keyturn-kv": "kv", "keyturn-transit": "transit"}
DECRYPT: Final = "keyturn-transit/decrypt/openai"


def lease_at(second: float) -> str:
    """Return a lease that was made then."""
    milliseconds = round((START + timedelta(seconds=second)).timestamp() * 1000)
    return f"{milliseconds:012x}70008{'0' * 15}"


def time_us(second: float) -> int:
    return round((START + timedelta(seconds=second)).timestamp() * 1_000_000)


def asked(  # noqa: PLR0913 - each test changes one thing of an entry
    second: float,
    operation: str,
    path: str,
    role: str = "keyvault-svc",
    *,
    lease: str = "",
    app: str = "",
    key: str = KEY,
    request: str = "request",
    error: str = "",
    kind: str = "response",
) -> bytes:
    """Return the line of one operation, by default of its answer."""
    headers = {"lease": lease, "app": app, "key": key, "request-id": request}
    entry: dict[str, Any] = {
        "time": _time(second),
        "type": kind,
        "auth": {
            "display_name": "keyturn-approle",
            "policies": [role],
            "metadata": {"role_name": role},
            "accessor": "hashed",
        },
        "request": {
            "id": f"{second} {operation} {path} {role} {lease}",
            "operation": operation,
            "path": path,
            "mount_point": f"{path.partition('/')[0]}/",
            "mount_type": _MOUNTS.get(path.partition("/")[0], "system"),
            "headers": {f"x-keyturn-{name}": [value] for name, value in headers.items() if value},
        },
    }
    if kind == "response":
        entry["response"] = {"data": {"x": "y"}}
    if error:
        entry["error"] = error
    return json.dumps(entry).encode()


def read_line(second: float, lease: str, **changes: Any) -> bytes:  # noqa: ANN401 - of `asked`
    """Return the read of a record for an app."""
    values = {"app": APP, "key": KEY, **changes}
    path = f"keyturn-kv/data/{values['key']}"
    return asked(second, "read", path, lease=lease, **values)


def controls_line(second: float, lease: str, **changes: Any) -> bytes:  # noqa: ANN401 - of `asked`
    """Return the read of what operators stopped, for an app."""
    values = {"app": APP, **changes}
    return asked(second, "read", "keyturn-kv/data/operator/controls", lease=lease, **values)


def opening_line(second: float, lease: str, **changes: Any) -> bytes:  # noqa: ANN401 - of `asked`
    """Return a decrypt."""
    values = {"role": "gateway-svc", "app": APP, **changes}
    return asked(second, "update", DECRYPT, lease=lease, **values)


def use_lines(second: float, **changes: Any) -> list[bytes]:  # noqa: ANN401 - of `asked`
    """Return both reads and the decrypt of one use."""
    lease = lease_at(second)
    return [
        read_line(second + 0.001, lease, **changes),
        controls_line(second + 0.001, lease, **changes),
        opening_line(second + 0.005, lease, **changes),
    ]


def service_line(second: float, **fields: Any) -> bytes:  # noqa: ANN401 - values of a log line
    """Return a line of the key service's log."""
    return json.dumps({"service": "keyvault-svc", "time": _time(second), **fields}).encode()


def settlement_line(second: float, made: float, **changes: Any) -> bytes:  # noqa: ANN401 - as above
    """Return what a lease of second *made* took."""
    fields = {
        "event": "lease_settled",
        "lease": lease_at(made),
        "key": KEY,
        "app": APP,
        "outcome": "served",
        "model": "gpt-4o-mini",
        "input_tokens": 10,
        "output_tokens": 4,
        "cost_usd": "0.25",
    }
    return service_line(second, **{**fields, **changes})


def vault_entry(line: bytes, number: int = 1) -> VaultEntry:
    entry = parse_vault_line(line, Place("audit.log", number))
    assert entry is not None
    return entry


def service_record(line: bytes, number: int = 1) -> ServiceRecord:
    record = parse_service_line(line, Place("keyvault-svc.log", number))
    assert record is not None
    return record


def _time(second: float) -> str:
    return (START + timedelta(seconds=second)).isoformat().replace("+00:00", "Z")
