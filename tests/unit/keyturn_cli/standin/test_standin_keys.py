from __future__ import annotations

import pytest

from keyturn_cli.standin.standin_keys import KeyKind, check_key, make_key


@pytest.mark.parametrize("kind", list(KeyKind))
def test_a_made_key_is_recognised_as_its_kind(kind: KeyKind) -> None:
    assert check_key(make_key(kind).expose()) is kind


def test_a_key_has_the_documented_form() -> None:
    parts = make_key(KeyKind.BROKE).expose().decode().split("-")

    assert parts[:3] == ["sk", "standin", "broke"]
    assert [len(part) for part in parts[3:]] == [24, 8]


def test_two_made_keys_differ() -> None:
    assert make_key() != make_key()


def test_a_key_of_another_kind_does_not_keep_its_checksum() -> None:
    changed = make_key(KeyKind.REVOKED).expose().replace(b"revoked", b"working")

    assert check_key(changed) is None


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"sk-standin-working",
        b"sk-proj-abcdefgh",
        b"sk-standin-other-" + b"a" * 24 + b"-00000000",
    ],
    ids=["empty", "too short", "foreign", "unknown kind"],
)
def test_anything_else_is_no_key(raw: bytes) -> None:
    assert check_key(raw) is None


def test_a_key_with_anything_around_it_is_no_key() -> None:
    key = make_key().expose()

    assert check_key(key + b"\n") is None
    assert check_key(b" " + key) is None
