from __future__ import annotations

from decimal import Decimal

import pytest

from keyvault_svc.domain.limit_refs import limit_refs, limited_name
from keyvault_svc.domain.limits import LimitKind, LimitRef, Limits, LimitScope
from keyvault_svc.domain.names import GrantName, KeyName, OwnerName

KEY = KeyName.parse("users/alice/keys/openai", "key")
GRANT = GrantName(KEY, "0123456789abcdef")
LIMITS = Limits(concurrent_calls=2, usd_per_day=Decimal("1.5"))


@pytest.mark.parametrize(
    ("name", "scope", "subject"),
    [
        (GRANT, LimitScope.GRANT, "openai/0123456789abcdef"),
        (KEY, LimitScope.KEY, "openai"),
        (KEY.owner, LimitScope.OWNER, ""),
    ],
    ids=["grant", "key", "owner"],
)
def test_a_limit_leads_to_its_resource_and_back(
    name: GrantName | KeyName | OwnerName, scope: LimitScope, subject: str
) -> None:
    refs = list(limit_refs(name, LIMITS))

    assert refs == [
        LimitRef(scope, subject, LimitKind.CONCURRENT_CALLS, 2),
        LimitRef(scope, subject, LimitKind.USD_PER_DAY, 1_500_000),
    ]
    assert {limited_name(KEY.owner, ref) for ref in refs} == {name}


def test_what_has_no_limits_has_none_in_the_store() -> None:
    assert list(limit_refs(KEY, Limits())) == []
