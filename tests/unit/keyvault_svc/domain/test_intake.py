from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyvault_svc.domain.intake import (
    ADMIN_ONLY_RULE,
    ADMIN_RULE,
    EMPTY_RULE,
    FORM_RULE,
    KEY_ID_RULE,
    check_api_key,
    check_openai_key_id,
)
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.service_error import InvalidFieldError

BODY = b"canary" + b"A1_-" * 10


@pytest.mark.parametrize(
    "raw",
    [
        b"sk-" + BODY,
        b"sk-proj-" + BODY,
        b"sk-svcacct-" + BODY,
        b"sk-None-" + BODY,
        b"sk-" + b"a" * 20,
        b"sk-" + b"a" * 400,
    ],
)
def test_an_openai_key_is_taken_as_a_secret(raw: bytes) -> None:
    assert check_api_key(raw) == SecretBytes(raw)


@pytest.mark.parametrize(
    ("raw", "rule"),
    [
        (b"", EMPTY_RULE),
        (b"sk-admin-" + BODY, ADMIN_RULE),
        (b"sk-admin-", ADMIN_RULE),
        (b"sk-" + b"a" * 19, FORM_RULE),
        (b"sk-" + b"a" * 401, FORM_RULE),
        (b"SK-" + BODY, FORM_RULE),
        (b"pk-" + BODY, FORM_RULE),
        (BODY, FORM_RULE),
        (b" sk-" + BODY, FORM_RULE),
        (b"sk-" + BODY + b" ", FORM_RULE),
        (b"sk-" + BODY + b"\n", FORM_RULE),
        (b"sk-" + BODY + b"\r\nx-evil: 1", FORM_RULE),
        (b"sk-" + BODY + b"\0", FORM_RULE),
        (b"Bearer sk-" + BODY, FORM_RULE),
        (b'"sk-' + BODY + b'"', FORM_RULE),
        ("sk-é".encode() + BODY, FORM_RULE),
        (b"\xffsk-" + BODY, FORM_RULE),
    ],
)
def test_what_cannot_be_a_key_is_refused_without_being_repeated(raw: bytes, rule: str) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        check_api_key(raw)

    assert (caught.value.field, caught.value.rule) == ("api_key", rule)
    assert "canary" not in caught.value.public_message


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60).map(lambda tail: b"sk-" + tail))
def test_an_accepted_key_can_stand_in_a_header(raw: bytes) -> None:
    try:
        accepted = check_api_key(raw)
    except InvalidFieldError:
        return

    assert accepted.expose().decode("ascii").isprintable()
    assert b" " not in accepted.expose()


def test_an_admin_key_goes_in_under_the_one_name_for_it() -> None:
    raw = b"sk-admin-" + BODY

    assert check_api_key(raw, is_admin_key=True) == SecretBytes(raw)


@pytest.mark.parametrize(
    ("raw", "rule"),
    [
        (b"sk-" + BODY, ADMIN_ONLY_RULE),
        (b"sk-proj-" + BODY, ADMIN_ONLY_RULE),
        (b"", EMPTY_RULE),
        (b"canary", FORM_RULE),
        (b"sk-admin-", FORM_RULE),
    ],
)
def test_nothing_else_goes_in_under_that_name(raw: bytes, rule: str) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        check_api_key(raw, is_admin_key=True)

    assert caught.value.rule == rule


@pytest.mark.parametrize("key_id", ["", "key_abcd", "key_1a2B3c4D5e6F7g8H", "key_" + "a" * 124])
def test_an_id_at_openai_is_taken_as_it_is(key_id: str) -> None:
    assert check_openai_key_id("openai_key_id", key_id) == key_id


@pytest.mark.parametrize(
    "key_id",
    [
        "key_",
        "key_abc",
        "key_" + "a" * 125,
        "sk-" + "a" * 40,
        "key_a b c d",
        "key_ab/c",
        "key_abcd\n",
    ],
)
def test_what_is_no_id_at_openai_is_refused_without_being_repeated(key_id: str) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        check_openai_key_id("openai_key_id", key_id)

    assert (caught.value.field, caught.value.rule) == ("openai_key_id", KEY_ID_RULE)
