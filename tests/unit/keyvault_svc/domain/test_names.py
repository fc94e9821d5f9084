from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyvault_svc.domain.names import (
    KEY_RULE,
    OWNER_RULE,
    GrantName,
    KeyName,
    OwnerKind,
    OwnerName,
)
from svc_runtime.service_error import InvalidFieldError

GRANT_RULE = "must be a key's name followed by /grants/<16 hexadecimal digits>"
GOOD_IDS = ["a", "0", "alice", "a-b", "a_b", "a.b", "a..b", "a--b", "0.0", "a" * 63]
BAD_IDS = [
    "",
    ".",
    "..",
    ".a",
    "a.",
    "-a",
    "a-",
    "_a",
    "a_",
    "Alice",
    "a b",
    " a",
    "a ",
    "a\n",
    "\na",
    "a\0",
    "a/b",
    "a\\b",
    "a%2fb",
    "%2e%2e",
    "%2e",
    "..%2f",
    "a:b",
    "a@b",
    "a+b",
    "a*",
    "~a",
    "a?b",
    "a#b",
    "é",
    "ａ",  # noqa: RUF001 - a full-width letter, which NFKC folds to an `a`
    "а",  # noqa: RUF001 - a Cyrillic letter that looks like an `a`
    "١",  # noqa: RUF001 - a digit, and none of 0 to 9
    "a\u200b",
    "a\u202e",
    "a" * 64,
]


@pytest.mark.parametrize("kind", ["users", "teams"])
@pytest.mark.parametrize("owner_id", GOOD_IDS)
def test_a_well_formed_owner_is_accepted(kind: str, owner_id: str) -> None:
    owner = OwnerName.parse(f"{kind}/{owner_id}", "parent")

    assert owner == OwnerName(OwnerKind(kind), owner_id)
    assert str(owner) == f"{kind}/{owner_id}"


@pytest.mark.parametrize("owner_id", BAD_IDS, ids=ascii)
def test_an_owner_with_a_malformed_id_is_refused(owner_id: str) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        OwnerName.parse(f"users/{owner_id}", "parent")

    assert (caught.value.field, caught.value.rule) == ("parent", OWNER_RULE)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/",
        "users",
        "users/",
        "/users/alice",
        "user/alice",
        "Users/alice",
        "groups/alice",
        "users//alice",
        "users/alice/",
        "users/alice/keys",
        "../users/alice",
        "users/../teams/a",
        "USER/alice",
    ],
)
def test_what_is_no_owner_is_refused(name: str) -> None:
    with pytest.raises(InvalidFieldError):
        OwnerName.parse(name, "parent")


@pytest.mark.parametrize("key_id", GOOD_IDS)
def test_a_well_formed_key_is_accepted(key_id: str) -> None:
    name = KeyName.parse(f"teams/payments/keys/{key_id}", "name")

    assert name == KeyName(OwnerName(OwnerKind.TEAM, "payments"), key_id)
    assert str(name) == f"teams/payments/keys/{key_id}"


@pytest.mark.parametrize("bad", BAD_IDS, ids=ascii)
@pytest.mark.parametrize("form", ["users/{}/keys/openai", "users/alice/keys/{}"])
def test_a_key_with_a_malformed_id_is_refused_by_the_rule_of_keys(form: str, bad: str) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        KeyName.parse(form.format(bad), "name")

    assert (caught.value.field, caught.value.rule) == ("name", KEY_RULE)


@pytest.mark.parametrize(
    "name",
    [
        "users/alice",
        "users/alice/keys",
        "users/alice/keys/",
        "users/alice/key/openai",
        "users/alice/keys/openai/",
        "users/alice/keys/openai/grants/0123456789abcdef",
        "users/alice/keys/a/keys/b",
        "users/alice/keys//openai",
        "users/alice/keys/../../bob/keys/openai",
        "users/alice//keys/openai",
        "/keys/openai",
    ],
)
def test_what_is_no_key_is_refused(name: str) -> None:
    with pytest.raises(InvalidFieldError):
        KeyName.parse(name, "name")


def test_a_well_formed_grant_is_accepted() -> None:
    name = GrantName.parse("users/alice/keys/openai/grants/0123456789abcdef", "name")

    assert name.grant_id == "0123456789abcdef"
    assert str(name.key) == "users/alice/keys/openai"
    assert str(name) == "users/alice/keys/openai/grants/0123456789abcdef"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "users/alice/keys/openai",
        "users/alice/keys/openai/grants/",
        "users/alice/keys/openai/grants/0123456789abcde",
        "users/alice/keys/openai/grants/0123456789abcdef0",
        "users/alice/keys/openai/grants/0123456789ABCDEF",
        "users/alice/keys/openai/grants/0123456789abcdeg",
        "users/alice/keys/openai/grants/0123456789abcdef\n",
        "users/alice/keys/../grants/0123456789abcdef",
        "users/alice/grants/0123456789abcdef",
        "/grants/0123456789abcdef",
    ],
)
def test_what_is_no_grant_is_refused_by_the_rule_of_grants(name: str) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        GrantName.parse(name, "name")

    assert (caught.value.field, caught.value.rule) == ("name", GRANT_RULE)


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet=st.sampled_from("ab0.-_/%2eE~ \0é"), max_size=24))
def test_an_accepted_name_leads_nowhere_but_to_its_own_place(tail: str) -> None:
    try:
        name = KeyName.parse(f"users/{tail}/keys/openai", "name")
    except InvalidFieldError:
        return

    assert str(name).split("/") == ["users", tail, "keys", "openai"]
    assert tail not in {".", ".."}


@pytest.mark.parametrize("kind", [OwnerName, KeyName, GrantName])
def test_a_refusal_does_not_repeat_the_input(
    kind: type[OwnerName | KeyName | GrantName],
) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        kind.parse("users/sk-canary/../keys/x", "name")

    assert "canary" not in caught.value.public_message
    assert caught.value.__context__ is None
