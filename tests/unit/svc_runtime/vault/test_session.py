from __future__ import annotations

import pytest

from svc_runtime.vault.session import VaultConnection


@pytest.mark.parametrize("address", ["http://vault:8200", "vault:8200", "", "HTTPS//vault"])
def test_only_https_leads_to_vault(address: str) -> None:
    with pytest.raises(ValueError, match="https://"):
        VaultConnection(address)


def test_every_address_must_be_https() -> None:
    with pytest.raises(ValueError, match="https://"):
        VaultConnection("https://a:8200", standby_addresses=("https://b:8200", "http://c:8200"))


def test_addresses_begin_with_the_first() -> None:
    connection = VaultConnection("https://a:8200", standby_addresses=("https://b:8200",))

    assert connection.addresses == ("https://a:8200", "https://b:8200")
