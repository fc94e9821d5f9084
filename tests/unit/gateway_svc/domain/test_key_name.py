from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_svc.domain.key_name import FORM_RULE, MISSING_RULE, KeyChoice, KeyName
from keyvault_svc.domain.names import KeyName as CustodyKeyName
from svc_runtime.service_error import InvalidFieldError
from svc_runtime.spiffe_id import SpiffeId

BILLING = SpiffeId.parse("spiffe://example.org/app/billing")
SEARCH = SpiffeId.parse("spiffe://example.org/app/search")
CHOICE = KeyChoice({BILLING: KeyName.parse("teams/payments/keys/openai")})

IDS = st.from_regex(r"[a-z0-9._-]{1,65}", fullmatch=True) | st.sampled_from(
    ["", ".", "..", "a", "A", "a/b", "%2e", "é", "a\n", "a" * 63, "a" * 64]
)
ALMOST_NAMES = st.builds(
    "{}/{}/{}/{}{}".format,
    st.sampled_from(["users", "teams", "user", "Users", ""]),
    IDS,
    st.sampled_from(["keys", "key", "grants"]),
    IDS,
    st.sampled_from(["", "", "", "/", "\n", " ", "/keys/a"]),
)


@pytest.mark.parametrize("name", ["users/alice/keys/openai", "teams/a.b/keys/c_d-e"])
def test_a_keys_name_is_accepted_as_it_is(name: str) -> None:
    assert str(KeyName.parse(name)) == name


@settings(max_examples=400, deadline=None)
@given(ALMOST_NAMES | st.text(max_size=30))
def test_both_services_accept_and_refuse_the_same_names(name: str) -> None:
    assert _is_accepted_by_gateway(name) is _is_accepted_by_key_service(name)


def _is_accepted_by_gateway(name: str) -> bool:
    try:
        return str(KeyName.parse(name)) == name
    except InvalidFieldError:
        return False


def _is_accepted_by_key_service(name: str) -> bool:
    try:
        return str(CustodyKeyName.parse(name, "key")) == name
    except InvalidFieldError:
        return False


def test_a_call_uses_the_key_that_it_names() -> None:
    assert str(CHOICE.choose(BILLING, "users/alice/keys/openai")) == "users/alice/keys/openai"


@pytest.mark.parametrize("unnamed", [None, ""])
def test_a_call_that_names_none_uses_the_default_of_its_app(unnamed: str | None) -> None:
    assert str(CHOICE.choose(BILLING, unnamed)) == "teams/payments/keys/openai"


def test_an_app_without_a_default_must_name_a_key() -> None:
    with pytest.raises(InvalidFieldError) as caught:
        CHOICE.choose(SEARCH, None)

    assert (caught.value.field, caught.value.rule) == ("x-keyturn-key", MISSING_RULE)


def test_a_malformed_name_is_not_replaced_by_the_default() -> None:
    with pytest.raises(InvalidFieldError) as caught:
        CHOICE.choose(BILLING, "openai")

    assert (caught.value.field, caught.value.rule) == ("x-keyturn-key", FORM_RULE)
