from __future__ import annotations

import pytest

from keyturn_cli.command_error import CommandError
from keyturn_cli.key_input import refuse_keys_in

KEY = "sk-proj-abcdefghijklmnop"


@pytest.mark.parametrize("argument", ["sk-x", KEY, f"--key={KEY}", "-k=sk-x", f"use {KEY}, please"])
def test_what_looks_like_a_key_is_refused_and_not_repeated(argument: str) -> None:
    with pytest.raises(CommandError) as raised:
        refuse_keys_in(["chat", argument])

    assert "sk-" not in raised.value.format_message()


@pytest.mark.parametrize(
    "argument", ["openai", "what is sk-... for?", "desk-abcdefghijklmnopqrst", "ask-me", "--key"]
)
def test_what_does_not_is_let_through(argument: str) -> None:
    refuse_keys_in(["chat", argument])
