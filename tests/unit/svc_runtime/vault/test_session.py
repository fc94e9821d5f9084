from __future__ import annotations

import pytest

from svc_runtime.vault.session import VaultConnection


@pytest.mark.parametrize("address", ["http://vault:8200", "vault:8200", "", "HTTPS//vault"])
def test_only_https_leads_to_vault(address: str) -> None:
    with pytest.raises(ValueError, match="https://"):
        VaultConnection(address)
