from __future__ import annotations

import pytest

from keyvault_svc.domain.errors import NotTheOwnerError
from keyvault_svc.domain.names import OwnerName
from keyvault_svc.domain.person import Person

ALICE = Person("alice", frozenset({"payments", "bob"}))


@pytest.mark.parametrize("owner", ["users/alice", "teams/payments", "teams/bob"])
def test_people_act_for_themselves_and_for_their_teams(owner: str) -> None:
    ALICE.must_act_for(OwnerName.parse(owner, "parent"))


@pytest.mark.parametrize("owner", ["users/bob", "users/payments", "teams/alice", "teams/search"])
def test_nobody_acts_for_anybody_else(owner: str) -> None:
    with pytest.raises(NotTheOwnerError):
        ALICE.must_act_for(OwnerName.parse(owner, "parent"))
