from __future__ import annotations

import pytest

from keyturn_cli.command_error import CommandError
from keyturn_cli.resource_names import full_name, owner_name


@pytest.mark.parametrize(
    ("typed", "whole"),
    [
        ("openai", "users/alice/keys/openai"),
        ("openai/grants/0123456789abcdef", "users/alice/keys/openai/grants/0123456789abcdef"),
        ("users/bob/keys/x", "users/bob/keys/x"),
        ("teams/payments/keys/x", "teams/payments/keys/x"),
        ("../bob/keys/x", "users/alice/keys/../bob/keys/x"),  # for the key service to refuse
    ],
)
def test_a_short_name_is_the_person_s_own(typed: str, whole: str) -> None:
    assert full_name(typed, "alice") == whole


@pytest.mark.parametrize(
    ("typed", "whole"),
    [(None, "users/alice"), ("bob", "users/bob"), ("teams/payments", "teams/payments")],
)
def test_an_owner_is_oneself_unless_named(typed: str | None, whole: str) -> None:
    assert owner_name(typed, "alice") == whole


def test_a_short_name_needs_a_login() -> None:
    with pytest.raises(CommandError) as raised:
        full_name("openai", None)

    assert "users/<you>/keys/openai" in raised.value.hint
