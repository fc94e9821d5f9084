from __future__ import annotations

import pytest

from keyvault_svc.domain.names import KeyName, OwnerName
from keyvault_svc.vault.paths import owner_path, record_path


@pytest.mark.parametrize("name", ["users/alice/keys/openai", "teams/a.b/keys/c_d"])
def test_a_record_lies_where_its_name_says(name: str) -> None:
    assert record_path(KeyName.parse(name, "name")) == name


@pytest.mark.parametrize("owner", ["users/alice", "teams/payments"])
def test_an_owners_records_lie_in_one_folder(owner: str) -> None:
    assert owner_path(OwnerName.parse(owner, "parent")) == f"{owner}/keys"
