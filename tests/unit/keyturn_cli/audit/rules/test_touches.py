"""Records, controls and notes are the key service's; keys are sealed and opened by one each."""

from __future__ import annotations

from typing import Any

import pytest

from keyturn_cli.audit.options import SECOND_US, Window
from tests.unit.keyturn_cli.audit.vault_lines import (
    GATEWAY,
    KEY,
    KEY_SERVICE,
    MAINTENANCE,
    OTHER,
    RECORD,
    ROOT,
    START,
    Caller,
    Log,
    codes,
    judge,
)

_MADE = Caller("", ("keyvault-svc",))  # the policy without the role
_MADE_WITH_METADATA = Caller(
    "keyvault-svc", ("keyvault-svc",), display_name="token-keyturn-approle"
)
_CLAIMED = Caller("keyvault-svc", ("wide",))  # the role without the policy


def _found(
    caller: Caller,
    operation: str,
    path: str,
    **labels: Any,  # noqa: ANN401 - labels of `Log.operation`
) -> list[str]:
    log = Log()
    log.operation(caller, operation, path, error="", **labels)
    return codes(judge(log.lines))


@pytest.mark.parametrize("caller", [OTHER, _MADE, _MADE_WITH_METADATA, _CLAIMED, Caller()])
@pytest.mark.parametrize(
    ("operation", "path", "code"),
    [
        ("read", RECORD, "RECORD_READ_BY_OTHER"),
        ("read", f"keyturn-kv/subkeys/{KEY}", "RECORD_READ_BY_OTHER"),
        ("create", RECORD, "RECORD_WRITTEN_BY_OTHER"),
        ("update", RECORD, "RECORD_WRITTEN_BY_OTHER"),
        ("patch", RECORD, "RECORD_WRITTEN_BY_OTHER"),
        ("delete", RECORD, "RECORD_DESTROYED_BY_OTHER"),
        ("update", f"keyturn-kv/destroy/{KEY}", "RECORD_DESTROYED_BY_OTHER"),
        ("update", f"keyturn-kv/undelete/{KEY}", "RECORD_DESTROYED_BY_OTHER"),
        ("delete", f"keyturn-kv/metadata/{KEY}", "RECORD_DESTROYED_BY_OTHER"),
        ("patch", f"keyturn-kv/metadata/{KEY}", "RECORD_WRITTEN_BY_OTHER"),
        ("scan", "keyturn-kv/metadata/users/", "RECORDS_LISTED_BY_OTHER"),
        ("list", "keyturn-kv/detailed-metadata/users/a/keys/", "RECORDS_LISTED_BY_OTHER"),
        ("read", f"keyturn-kv/metadata/{KEY}", "RECORDS_LISTED_BY_OTHER"),
        ("list", "keyturn-kv/metadata/users/", "RECORDS_LISTED_BY_OTHER"),
        ("list", "keyturn-kv/metadata/", "RECORDS_LISTED_BY_OTHER"),
        ("update", "keyturn-kv/data/operator/controls", "CONTROLS_CHANGED_BY_OTHER"),
        ("delete", "keyturn-kv/metadata/operator/controls", "CONTROLS_CHANGED_BY_OTHER"),
        ("read", "keyturn-kv/data/operator/controls", "NOTES_TOUCHED_BY_OTHER"),
        ("read", "keyturn-kv/data/fingerprints/0", "NOTES_TOUCHED_BY_OTHER"),
        ("update", "keyturn-transit/encrypt/openai", "ENCRYPT_BY_OTHER"),
        ("update", "keyturn-transit/datakey/plaintext/openai", "ENCRYPT_BY_OTHER"),
        ("update", "keyturn-transit/decrypt/openai", "DECRYPT_BY_OTHER"),
        ("update", "keyturn-transit/rewrap/openai", "REWRAP_BY_OTHER"),
        ("update", "keyturn-transit/hmac/fingerprint/sha2-256", "HMAC_BY_OTHER"),
        ("update", "keyturn-transit/verify/fingerprint", "HMAC_BY_OTHER"),
    ],
)
def test_what_somebody_else_touches_is_found(
    caller: Caller, operation: str, path: str, code: str
) -> None:
    assert _found(caller, operation, path) == [code]


@pytest.mark.parametrize(
    ("caller", "path", "code"),
    [
        (KEY_SERVICE, "keyturn-transit/decrypt/openai", "DECRYPT_BY_OTHER"),
        (GATEWAY, "keyturn-transit/encrypt/openai", "ENCRYPT_BY_OTHER"),
        (MAINTENANCE, "keyturn-transit/hmac/fingerprint", "HMAC_BY_OTHER"),
        (KEY_SERVICE, "keyturn-transit/rewrap/openai", "REWRAP_BY_OTHER"),
    ],
)
def test_no_service_does_what_is_anothers(caller: Caller, path: str, code: str) -> None:
    assert _found(caller, "update", path) == [code, "SERVICE_BEYOND_RIGHTS"]


@pytest.mark.parametrize("caller", [KEY_SERVICE, GATEWAY, MAINTENANCE])
def test_what_vault_denies_a_service_is_found(caller: Caller) -> None:
    log = Log()
    log.operation(caller, "read", "secret/data/x", error="1 error: permission denied")

    assert codes(judge(log.lines)) == ["SERVICE_DENIED"]


def test_what_vault_denies_others_is_a_notice_where_keys_lie() -> None:
    for path, found in ((RECORD, ["OTHER_DENIED"]), ("secret/data/x", [])):
        log = Log()
        log.operation(OTHER, "read", path, error="1 error: permission denied")

        assert codes(judge(log.lines)) == found


def test_a_token_that_has_ended_says_of_nobody_that_they_were_denied() -> None:
    log = Log()
    log.operation(Caller(), "read", RECORD, error="permission denied")

    assert judge(log.lines) == []


@pytest.mark.parametrize(
    ("operation", "found"),
    [
        ("update", ["RECORD_KEY_DIFFERS"]),
        ("create", ["RECORD_KEY_DIFFERS"]),
        ("read", []),  # a look at who else holds the same plaintext
    ],
)
def test_the_key_service_names_the_key_whose_record_it_touches(
    operation: str, found: list[str]
) -> None:
    assert _found(KEY_SERVICE, operation, RECORD, key=KEY) == []
    assert _found(KEY_SERVICE, operation, RECORD, key="users/bob/keys/x") == found


def test_a_read_under_a_lease_is_of_the_key_that_is_named() -> None:
    lease = Log().lease()

    assert _found(KEY_SERVICE, "read", RECORD, key="users/bob/keys/x", lease=lease) == [
        "RECORD_KEY_DIFFERS"
    ]


def test_root_has_no_right_to_keys_in_a_window() -> None:
    start_us = int(START.timestamp()) * SECOND_US
    log = Log()
    log.operation(ROOT, "read", RECORD)
    window = Window(start_us, start_us + SECOND_US)

    assert codes(judge(log.lines, windows=(window,))) == ["RECORD_READ_BY_OTHER"]
