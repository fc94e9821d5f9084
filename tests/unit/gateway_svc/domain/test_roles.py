from __future__ import annotations

import pytest

from gateway_svc.domain.roles import AppIds
from svc_runtime.service_error import CallerUnverifiedError
from svc_runtime.spiffe_id import SpiffeId

APP_IDS = AppIds("spiffe://example.org/app/")
BILLING = SpiffeId.parse("spiffe://example.org/app/billing")


@pytest.mark.parametrize("path", ["app/billing", "app/payments/billing"])
def test_an_id_below_the_prefix_is_an_app(path: str) -> None:
    assert APP_IDS.roles_of(SpiffeId.parse(f"spiffe://example.org/{path}")) == {"app"}


@pytest.mark.parametrize(
    "other",
    [
        "spiffe://example.org/app",
        "spiffe://example.org/apps/billing",
        "spiffe://example.org/svc/keyvault-svc",
        "spiffe://example.org/x/app/billing",
        "spiffe://example.org.evil/app/billing",
        "spiffe://evil/example.org/app/billing",
        "spiffe://example.org/App/billing",
    ],
)
def test_no_other_id_is_an_app(other: str) -> None:
    spiffe_id = SpiffeId.parse(other)

    assert APP_IDS.roles_of(spiffe_id) == frozenset()
    with pytest.raises(CallerUnverifiedError):
        APP_IDS.must_be_app(spiffe_id)


def test_an_app_is_let_through() -> None:
    assert APP_IDS.must_be_app(BILLING) == BILLING


@pytest.mark.parametrize("prefix", ["spiffe://example.org/", "spiffe://example.org/a/b/"])
def test_a_prefix_names_a_trust_domain_and_ends_with_a_slash(prefix: str) -> None:
    assert AppIds(prefix).roles_of(SpiffeId.parse(f"{prefix}x")) == {"app"}


@pytest.mark.parametrize(
    "prefix",
    [
        "",
        "/",
        "spiffe://",
        "spiffe:///",
        "spiffe://example.org",
        "spiffe://example.org/app",
        "spiffe://example.org//",
        "https://example.org/app/",
        "spiffe://Example.org/app/",
    ],
)
def test_a_prefix_that_would_take_strangers_for_apps_is_refused(prefix: str) -> None:
    with pytest.raises(ValueError, match="app_id_prefix"):
        AppIds(prefix)
