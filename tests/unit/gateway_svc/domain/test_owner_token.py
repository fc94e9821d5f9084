from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_svc.domain.owner_token import FIELD, owner_token_of
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.service_error import InvalidFieldError


def test_a_token_that_did_not_come_is_none() -> None:
    assert owner_token_of(None) is None


@pytest.mark.parametrize(
    "token", ["a.b.c", "e-_0.x.y", "a." + "b" * (16 * 1024 - 4) + ".c"], ids=len
)
def test_a_jwt_of_at_most_16_kib_is_taken(token: str) -> None:
    assert owner_token_of(token) == SecretBytes(token.encode())


@pytest.mark.parametrize(
    "token",
    [
        "",
        "canary",
        "a.b",
        "a.b.c.d",
        "a..c",
        "Bearer a.b.c",
        "a.b.c ",
        "a.b.c\n",
        "a.b.\u00e9",
        "a." + "b" * (16 * 1024 - 3) + ".c",
    ],
    ids=ascii,
)
def test_what_is_no_jwt_is_refused_without_being_quoted(token: str) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        owner_token_of(token)

    assert str(caught.value.public_message) == f"{FIELD}: must be a JWT of at most 16 KiB"


@given(st.text())
def test_no_text_breaks_the_reader(text: str) -> None:
    try:
        token = owner_token_of(text)
    except InvalidFieldError:
        return

    assert token == SecretBytes(text.encode())
