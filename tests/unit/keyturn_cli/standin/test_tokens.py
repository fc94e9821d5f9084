from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn_cli.standin.tokens import count_tokens, tokenize


@given(st.text())
def test_the_tokens_joined_are_the_text(text: str) -> None:
    assert "".join(tokenize(text)) == text


@pytest.mark.parametrize(
    ("text", "count"),
    [("", 0), ("one", 1), ("one two", 2), (" one\n\ntwo ", 3), ("   ", 1)],
)
def test_a_token_is_a_word_with_the_space_before_it(text: str, count: int) -> None:
    assert count_tokens(text) == count
