from __future__ import annotations

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_svc.domain.key_echo import without_key_echo

KEY_CHARACTERS = re.compile(rb"sk-[A-Za-z0-9_*-]{4,}")


@pytest.mark.parametrize(
    ("echo", "rest"),
    [
        (b"sk-proj-********************************wxyz", b""),
        (b"sk-svcacct-****abcd", b""),
        (b"sk-abcde***************************************wxyz", b""),
        (b"sk-****", b""),
        (b"sk-abc...wxyz", b""),
        ("sk-abc…wxyz".encode(), b""),
        (b"sk-proj-A1_b2-C3", b""),
        ("sk-abc••••wxyz".encode(), b""),
        (b"sk-abc&hellip;wxyz", b""),
        (b"sk%2Dproj%2Dabcd", b""),
        (b"sess-****wxyz", b""),
        (b"abcd****wxyz", b""),
        (b"a1b2c3d4", b" is none."),
        (b"sk-proj-abcd", b'"'),
        (b"sk-proj-abcd", b"'"),
        (b"sk-proj-abcd", b"\\n"),
        (b"sk-proj-abcd", b", and sk-"),
    ],
)
def test_what_openai_repeats_of_a_key_is_replaced(echo: bytes, rest: bytes) -> None:
    body = b'{"error":{"message":"Incorrect API key provided: ' + echo + rest + b'"}}'

    replaced = without_key_echo(body)

    assert replaced == b'{"error":{"message":"Incorrect API key provided: [key]' + rest + b'"}}'


def test_every_echo_is_replaced() -> None:
    assert without_key_echo(b"sk-aaaa sk-bbbb,sk-cccc") == b"[key] [key],[key]"


@pytest.mark.parametrize(
    "body", [b"", b"sk-", b"sk-abc", b"ask-me", b"task-", b'{"code":"x"}', b"\xff\x00"]
)
def test_what_is_no_echo_stays(body: bytes) -> None:
    assert without_key_echo(body) == body


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from([b"sk-", b"sk", b"-", b"*", b"a", b"Z9", b".", b" ", b'"', b"\\u2026"])
        | st.binary(max_size=4),
        max_size=20,
    ).map(b"".join)
)
def test_nothing_that_looks_like_a_key_is_left(body: bytes) -> None:
    replaced = without_key_echo(body)

    assert KEY_CHARACTERS.search(replaced) is None
    assert without_key_echo(replaced) == replaced


def test_an_echo_that_json_spells_otherwise_is_taken_out() -> None:
    spelled = rb'{"error":{"message":"Incorrect API key: sk\u002dproj\u002dabcd1234\u0065fgh"}}'

    assert json.loads(without_key_echo(spelled)) == {
        "error": {"message": "Incorrect API key: [key]"}
    }


def test_a_json_error_without_an_echo_stays_byte_for_byte() -> None:
    body = b'{ "error" : {"message": "Rate limit reached \\u00e9"} }\n'

    assert without_key_echo(body) == body
