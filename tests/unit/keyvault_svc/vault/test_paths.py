from __future__ import annotations

import re
from datetime import timedelta

import pytest

from keyvault_svc.domain.names import KeyName, OwnerName
from keyvault_svc.vault.paths import (
    fingerprint_path,
    grant_requests_path,
    owner_path,
    record_path,
    retirement_due_seconds,
    retirement_id,
    retirement_path,
    verification_id,
    verification_path,
)
from tests.fakes.fake_clock import START
from tests.unit.keyvault_svc.samples import KEY

OTHER = KeyName.parse("teams/alice/keys/openai", "name")


@pytest.mark.parametrize("name", ["users/alice/keys/openai", "teams/a.b/keys/c_d"])
def test_a_record_lies_where_its_name_says(name: str) -> None:
    assert record_path(KeyName.parse(name, "name")) == name


@pytest.mark.parametrize("owner", ["users/alice", "teams/payments"])
def test_an_owners_records_lie_in_one_folder(owner: str) -> None:
    assert owner_path(OwnerName.parse(owner, "parent")) == f"{owner}/keys"


@pytest.mark.parametrize("fingerprint", ["vault:v1:a/../b+c=", "", "../../users/alice/keys/x"])
def test_a_fingerprint_leads_nowhere_but_to_its_own_place(fingerprint: str) -> None:
    assert re.fullmatch(r"fingerprints/[0-9a-f]{64}", fingerprint_path(fingerprint))


def test_the_place_of_requests_says_nothing_of_the_owner() -> None:
    paths = {
        grant_requests_path(OwnerName.parse(o, "parent"))
        for o in ("users/alice", "teams/alice", "users/nobody")
    }

    assert len(paths) == 3
    assert all(re.fullmatch(r"grant-requests/[0-9a-f]{64}", path) for path in paths)


def test_every_key_has_one_place_in_the_queue_of_verifications() -> None:
    assert re.fullmatch(r"[0-9a-f]{64}", verification_id(KEY))
    assert verification_id(KEY) != verification_id(OTHER)
    assert verification_path(verification_id(KEY)) == f"verifications/{verification_id(KEY)}"


def test_retirements_are_sorted_by_time_and_told_apart_by_key() -> None:
    times = [START + timedelta(days=days) for days in (0, 1, 3000)]
    ids = [retirement_id(KEY, time) for time in times]

    assert ids == sorted(ids)
    assert len({*ids, retirement_id(OTHER, START)}) == 4
    assert all(re.fullmatch(r"[0-9]{12}-[0-9a-f]{32}", entry_id) for entry_id in ids)
    assert retirement_path(ids[0]) == f"retirements/{ids[0]}"


@pytest.mark.parametrize(("microseconds", "late"), [(0, 0), (1, 1), (999_999, 1)])
def test_a_retirement_is_due_at_its_second_or_the_next_and_never_before(
    microseconds: int, late: int
) -> None:
    entry_id = retirement_id(KEY, START + timedelta(microseconds=microseconds))

    assert retirement_due_seconds(entry_id) == START.timestamp() + late
