"""Lines of logs as `keyturn audit verify` sees them: what its rules ask for, and no more."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson

_MICROSECOND: Final = 1_000_000
_REQUEST_ID: Final = "x-keyturn-request-id"
_LEASE: Final = "x-keyturn-lease"
_APP: Final = "x-keyturn-app"
_KEY: Final = "x-keyturn-key"
_DOT: Final = 19  # where a time's fraction of a second begins
_DIGITS: Final = 6
_MAX_CHARACTERS: Final = 4096  # of a path or a header; a SPIFFE ID has at most 2,048
_MAX_PREFIX: Final = 64  # bytes that an audit device may write before each entry


@dataclass(frozen=True, slots=True)
class Place:
    """Where a line is.

    Attributes:
        log: Name of the file as it was given; `-` for standard input.
        line: Its number in that file, from 1.
    """

    log: str
    line: int


@dataclass(slots=True)
class VaultEntry:
    """One entry of an audit log, of OpenBao or of HashiCorp Vault.

    Attributes:
        place: Where it is.
        time_us: When Vault wrote it: microseconds since 1970, UTC.
        is_answer: Whether it is of type `response`.
        operation_id: Vault's `request.id`, which request and answer share.
        operation: `read`, `update`, ...
        path: `request.path`, behind the path of its namespace.
        role: The login's role, whichever auth method names it; empty for none.
        policies: Of the token.
        accessor: Of the token, hashed by Vault.
        display_name: Of the token.
        remote_address: Of the client.
        request_id, lease, app, key: Keyturn's audited headers; empty for none.
        data_fields: Names of the request's fields; their values are hashed.
        issued_policies: Of the token that an answer gave out, by a login or otherwise.
        issued_role: The role that this token was given out for.
        token_hash: Of the wrapping token: the one that an answer gave out, or a request bore.
        error: Vault's error; empty for none.
        has_answer_data: Whether an answer carried data.
        is_wrapped: Whether Vault put what it answered behind a wrapping token, unseen by the log.
    """

    place: Place
    time_us: int
    is_answer: bool
    operation_id: str
    operation: str
    path: str
    mount_type: str
    mount_point: str
    role: str
    policies: tuple[str, ...]
    accessor: str
    display_name: str
    remote_address: str
    request_id: str
    lease: str
    app: str
    key: str
    data_fields: tuple[str, ...]
    issued_policies: tuple[str, ...]
    issued_role: str
    token_hash: str
    error: str
    has_answer_data: bool
    is_wrapped: bool


@dataclass(slots=True)
class ServiceRecord:
    """One line of a service's log.

    Attributes:
        place: Where it is.
        time_us: Microseconds since 1970, UTC.
        raw: The line without its newline; a chain of records is a chain of hashes of these.
        fields: The parsed object.
    """

    place: Place
    time_us: int
    raw: bytes
    fields: dict[str, object]

    def text(self, name: str) -> str:
        """Return the text that field *name* holds, empty for none."""
        value = self.fields.get(name)
        return value if isinstance(value, str) else ""


def parse_vault_line(raw: bytes, place: Place) -> VaultEntry | None:
    """Return the entry that line *raw* of an audit log is, None when it is none.

    What stands before the first brace, as `@cee: `, is the prefix that the device writes.
    """
    begin = raw.find(b"{", 0, _MAX_PREFIX)
    entry = _parsed(raw[begin:]) if begin >= 0 else None
    if entry is None:
        return None
    time_us, request = parse_time_us(entry.get("time")), entry.get("request")
    kind = entry.get("type")
    if time_us is None or kind not in {"request", "response"} or not isinstance(request, dict):
        return None
    auth, response = _mapping(entry.get("auth")), _mapping(entry.get("response"))
    issued = _mapping(response.get("auth"))
    data, headers = _mapping(request.get("data")), _headers(request.get("headers"))
    wrap_info = _mapping(response.get("wrap_info"))
    wrapped = wrap_info or data or request
    return VaultEntry(
        place=place,
        time_us=time_us,
        is_answer=kind == "response",
        operation_id=_text(request.get("id")),
        operation=_text(request.get("operation")),
        path=_text(_mapping(request.get("namespace")).get("path")) + _text(request.get("path")),
        mount_type=_text(request.get("mount_type")),
        mount_point=_text(request.get("mount_point")),
        role=_role(auth),
        policies=_texts(auth.get("policies")),
        accessor=_text(auth.get("accessor")),
        display_name=_text(auth.get("display_name")),
        remote_address=_text(request.get("remote_address")),
        request_id=_header(headers, _REQUEST_ID),
        lease=_header(headers, _LEASE),
        app=_header(headers, _APP),
        key=_header(headers, _KEY),
        data_fields=tuple(data),
        issued_policies=_texts(issued.get("policies")),
        issued_role=_role(issued),
        token_hash=_text(wrapped.get("token")) or _text(request.get("client_token")),
        error=_text(entry.get("error")),
        has_answer_data=bool(response.get("data")),
        is_wrapped=bool(wrap_info),
    )


def parse_service_line(raw: bytes, place: Place) -> ServiceRecord | None:
    """Return the record that line *raw* of a service's log is, None when it is none."""
    fields = _parsed(raw)
    time_us = parse_time_us(fields.get("time")) if fields is not None else None
    if fields is None or time_us is None:
        return None
    return ServiceRecord(place, time_us, raw, fields)


def parse_time_us(raw: object) -> int | None:
    """Return the time that an ISO 8601 text means, in microseconds since 1970; None for no time.

    A text without an offset is in UTC. Vault's nanoseconds are cut off.
    """
    if not isinstance(raw, str):
        return None
    try:
        if raw[_DOT : _DOT + 1] == "." and raw.endswith("Z") and raw[_DOT + 1 : -1].isdecimal():
            fraction = raw[_DOT + 1 : -1][:_DIGITS].ljust(_DIGITS, "0")
            return _whole_seconds_us(raw[:_DOT]) + int(fraction)
        return _whole_seconds_us(raw)
    except ValueError:
        return None


@functools.lru_cache(maxsize=64)  # lines of one second follow each other
def _whole_seconds_us(text: str) -> int:
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        time = time.replace(tzinfo=UTC)
    return int(time.replace(microsecond=0).timestamp()) * _MICROSECOND + time.microsecond


def _parsed(raw: bytes) -> dict[str, Any] | None:
    try:
        parsed = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    return parsed if isinstance(parsed, dict) else None


def _role(auth: dict[str, Any]) -> str:
    """Return the role: `role_name` by AppRole, `role` by Kubernetes and JWT, `cert_name` by TLS."""
    metadata = auth.get("metadata")
    if not isinstance(metadata, dict):
        return ""
    return (
        _text(metadata.get("role_name"))
        or _text(metadata.get("role"))
        or _text(metadata.get("cert_name"))
    )


def _headers(value: object) -> dict[str, Any]:
    """Return headers by their names in lower case, as OpenBao has them."""
    return {name.lower(): values for name, values in _mapping(value).items()}


def _header(headers: dict[str, Any], name: str) -> str:
    """Return the one value of an audited header; several are no value that anybody meant."""
    values = headers.get(name)
    if isinstance(values, list) and values:
        if len(values) == 1:  # nearly always, and this is asked for millions of times
            return _text(values[0])
        return _text(",".join(value for value in values if isinstance(value, str)))
    return ""


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    """Return a text, cut where it is longer than any of ours: rules keep some for minutes."""
    if not isinstance(value, str):
        return ""
    return value if len(value) <= _MAX_CHARACTERS else value[:_MAX_CHARACTERS]


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        return ()
    if len(value) == 1 and isinstance(value[0], str):  # nearly always
        return (value[0],)
    return tuple(text for text in value if isinstance(text, str))
