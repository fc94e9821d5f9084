from __future__ import annotations

from dataclasses import replace

import pytest

from keyvault_svc.domain.errors import KeyDuplicateError
from keyvault_svc.domain.key_policy import KeyPolicy
from keyvault_svc.domain.key_state import KeyState
from keyvault_svc.domain.names import KeyName
from tests.unit.keyvault_svc.custody_stage import TAGS, Stage
from tests.unit.keyvault_svc.samples import KEY, make_record, make_version

OWN = KeyName.parse("users/alice/keys/other", "name")
BOBS = KeyName.parse("users/bob/keys/openai", "name")
REFUSING = KeyPolicy(are_shared_keys_refused=True)


async def test_the_first_key_of_a_plaintext_is_noted() -> None:
    stage = Stage()

    await stage.duplicates.register("hmac", KEY, TAGS)

    assert stage.index.noted == {"hmac": (KEY,)}
    assert stage.security_log.shared == []


async def test_what_is_noted_of_a_key_is_not_noted_twice() -> None:
    stage = Stage(make_record())

    await stage.duplicates.register("hmac", KEY, TAGS)

    assert stage.index.noted == {"hmac": (KEY,)}
    assert stage.line.requests == ["read fingerprint"]


@pytest.mark.parametrize("state", sorted(set(KeyState) - {KeyState.DELETED}))
async def test_another_key_of_the_same_owner_is_refused_in_whatever_state_it_is(
    state: KeyState,
) -> None:
    stage = Stage(make_record(name=OWN, state=state))

    with pytest.raises(KeyDuplicateError):
        await stage.duplicates.register("hmac", KEY, TAGS)

    assert stage.index.noted == {"hmac": (OWN,)}
    assert stage.security_log.shared == []


async def test_another_owners_key_is_accepted_and_security_told() -> None:
    stage = Stage(make_record(name=BOBS))

    await stage.duplicates.register("hmac", KEY, TAGS)

    assert stage.index.noted == {"hmac": (BOBS, KEY)}
    assert stage.security_log.shared == [(KEY, (BOBS,))]


async def test_another_owners_key_is_refused_where_the_policy_says_so() -> None:
    stage = Stage(make_record(name=BOBS), policy=REFUSING)

    with pytest.raises(KeyDuplicateError):
        await stage.duplicates.register("hmac", KEY, TAGS)

    assert stage.index.noted == {"hmac": (BOBS,)}


async def test_an_own_key_is_refused_even_beside_another_owners() -> None:
    stage = Stage(make_record(name=BOBS), make_record(name=OWN))

    with pytest.raises(KeyDuplicateError):
        await stage.duplicates.register("hmac", KEY, TAGS)


@pytest.mark.parametrize("policy", [KeyPolicy(), REFUSING])
@pytest.mark.parametrize("stale", [OWN, BOBS])
async def test_an_entry_of_a_key_that_holds_it_no_longer_counts_for_nothing(
    stale: KeyName, policy: KeyPolicy
) -> None:
    stage = Stage(make_record(name=stale, fingerprint="another"), policy=policy)
    stage.index.noted["hmac"] = (stale, KeyName.parse("users/alice/keys/gone", "name"))

    await stage.duplicates.register("hmac", KEY, TAGS)

    assert KEY in stage.index.noted["hmac"]
    assert stage.security_log.shared == []


@pytest.mark.parametrize("place", ["current", "incoming", "retiring"])
async def test_a_plaintext_is_found_in_every_place_of_a_record(place: str) -> None:
    record = make_record(name=OWN, fingerprint="another")
    version = make_version(2, KeyState.RETIRING, fingerprint="hmac")
    stage = Stage(replace(record, **{place: version}))  # type: ignore[arg-type]  # a version in each

    with pytest.raises(KeyDuplicateError):
        await stage.duplicates.register("hmac", KEY, TAGS)


async def test_what_a_key_holds_no_longer_is_taken_off() -> None:
    stage = Stage(make_record(fingerprint="another"), make_record(name=BOBS))
    stage.index.noted["hmac"] = (KEY, BOBS)

    await stage.duplicates.release("hmac", KEY, TAGS)

    assert stage.index.noted["hmac"] == (BOBS,)


async def test_what_a_key_still_holds_stays() -> None:
    stage = Stage(make_record())

    await stage.duplicates.release("hmac", KEY, TAGS)

    assert stage.index.noted == {"hmac": (KEY,)}


async def test_two_keys_that_are_noted_at_once_are_both_noted() -> None:
    stage = Stage()
    stage.line.before("write fingerprint", lambda: stage.index.add("hmac", BOBS, TAGS))

    await stage.duplicates.register("hmac", KEY, TAGS)

    assert stage.index.noted == {"hmac": (BOBS, KEY)}
