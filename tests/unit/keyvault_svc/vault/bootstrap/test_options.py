from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from keyvault_svc.vault.bootstrap.options import BootstrapOptions

GOOD: dict[str, Any] = {
    "policy_dir": Path("policies"),
    "trust_domain": "keyturn.test",
    "issuer": "https://vault.test:8200/",
    "audit_file": None,
    "owner_token_ttl_seconds": 86400,
    "app_token_ttl_seconds": 1,
}


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("trust_domain", "", "trust domain"),
        ("trust_domain", "Keyturn", "trust domain"),
        ("trust_domain", "a/b", "trust_domain"),
        ("trust_domain", "*", "trust domain"),
        ("issuer", "vault.test", "issuer"),
        ("issuer", "https://vault.test/v1", "issuer"),
        ("issuer", "https://vault.test?x=y", "issuer"),
        ("owner_token_ttl_seconds", 0, "owner_token_ttl_seconds"),
        ("owner_token_ttl_seconds", 86401, "owner_token_ttl_seconds"),
        ("app_token_ttl_seconds", -1, "app_token_ttl_seconds"),
        ("certificate_ttl_seconds", 0, "certificate_ttl_seconds"),
        ("dns_names", {"gateway": ["a.test"]}, "dns_names"),
    ],
)
def test_an_option_out_of_range_is_refused_by_name(field: str, value: object, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        BootstrapOptions(**GOOD | {field: value})


def test_the_ends_of_the_ranges_are_accepted() -> None:
    options = BootstrapOptions(**GOOD)

    assert (options.certificate_ttl_seconds, options.dns_names) == (86400, {})
