"""Lines of both Vaults and of services become what the rules ask for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from keyturn_cli.audit.entries import (
    Place,
    parse_service_line,
    parse_time_us,
    parse_vault_line,
)

PLACE = Place("audit.log", 7)
_ENTRY: dict[str, Any] = {
    "time": "2026-11-21T12:00:00.123456789Z",
    "type": "response",
    "auth": {
        "accessor": "hmac-sha256:a",
        "display_name": "keyturn-approle",
        "policies": ["gateway-svc"],
        "metadata": {"role_name": "gateway-svc"},
    },
    "request": {
        "id": "1",
        "operation": "update",
        "mount_type": "transit",
        "mount_point": "keyturn-transit/",
        "namespace": {"id": "root"},
        "path": "keyturn-transit/decrypt/openai",
        "data": {"ciphertext": "hmac-sha256:c", "context": "hmac-sha256:d"},
        "remote_address": "10.0.0.7",
        "headers": {"x-keyturn-lease": ["l"], "x-keyturn-key": ["k"]},
    },
    "response": {"data": {"plaintext": "hmac-sha256:p"}},
}


def _raw(**changes: object) -> bytes:
    return json.dumps({**_ENTRY, **changes}).encode()


def test_an_entry_says_who_did_what_for_which_lease() -> None:
    entry = parse_vault_line(_raw(), PLACE)

    assert entry is not None
    assert (entry.role, entry.policies) == ("gateway-svc", ("gateway-svc",))
    assert (entry.operation, entry.path) == ("update", "keyturn-transit/decrypt/openai")
    assert (entry.lease, entry.key, entry.app, entry.request_id) == ("l", "k", "", "")
    assert (entry.place, entry.is_answer, entry.has_answer_data) == (PLACE, True, True)
    assert entry.data_fields == ("ciphertext", "context")
    assert entry.time_us == 1_795_262_400_123_456


@pytest.mark.parametrize(
    "metadata",
    [
        {"role_name": "gateway-svc"},
        {"role": "gateway-svc", "service_account_name": "gateway"},
        {"cert_name": "gateway-svc", "common_name": "gateway"},
    ],
)
def test_the_role_is_named_by_every_way_to_log_in(metadata: dict[str, str]) -> None:
    entry = parse_vault_line(_raw(auth={"metadata": metadata}), PLACE)

    assert entry is not None
    assert entry.role == "gateway-svc"


def test_headers_are_known_however_they_are_spelt() -> None:
    request = {**_ENTRY["request"], "headers": {"X-Keyturn-Lease": ["l"]}}
    entry = parse_vault_line(_raw(request=request), PLACE)

    assert entry is not None
    assert entry.lease == "l"


def test_a_namespace_stands_before_the_path() -> None:
    request = {**_ENTRY["request"], "namespace": {"id": "x", "path": "team/"}}
    entry = parse_vault_line(_raw(request=request), PLACE)

    assert entry is not None
    assert entry.path == "team/keyturn-transit/decrypt/openai"


def test_what_the_device_writes_before_an_entry_is_left_out() -> None:
    assert parse_vault_line(b"@cee: " + _raw(), PLACE) == parse_vault_line(_raw(), PLACE)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"no line",
        b"[]",
        b"{",
        _raw()[:-5],
        _raw(time="yesterday"),
        _raw(time=None),
        _raw(type="event"),
        _raw(request=None),
        b"\xff" + b"{" * 3,
        b"[" * 100_000,
    ],
)
def test_what_is_no_entry_is_none(raw: bytes) -> None:
    assert parse_vault_line(raw, PLACE) is None


@pytest.mark.parametrize("member", ["auth", "response", "error"])
@pytest.mark.parametrize(
    "value", [None, 7, "text", [], {}, {"policies": 1, "metadata": [], "x": {}}]
)
def test_members_of_another_shape_are_as_if_they_were_not_there(member: str, value: object) -> None:
    entry = parse_vault_line(_raw(**{member: value}), PLACE)

    assert entry is not None
    assert entry.path == "keyturn-transit/decrypt/openai"


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-21T12:00:00Z",
        "2026-11-21T13:00:00+01:00",
        "2026-11-21T12:00:00.0",
        "2026-11-21 12:00",
    ],
)
def test_a_time_is_counted_in_utc(text: str) -> None:
    assert parse_time_us(text) == 1_795_262_400_000_000


def test_a_record_of_a_service_keeps_its_bytes() -> None:
    raw = b'{"event": "rpc", "time": "2026-11-21T12:00:00.000001Z", "count": 1}'
    record = parse_service_line(raw, PLACE)

    assert record is not None
    assert (record.raw, record.time_us) == (raw, 1_795_262_400_000_001)
    assert (record.text("event"), record.text("count"), record.text("app")) == ("rpc", "", "")


@pytest.mark.parametrize("raw", [b"", b"warning: x", b"7", b'{"event": "rpc"}', b'{"time": 7}'])
def test_what_is_no_record_is_none(raw: bytes) -> None:
    assert parse_service_line(raw, PLACE) is None
