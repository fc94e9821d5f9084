from __future__ import annotations

from datetime import timedelta

import pytest
from pydantic import ValidationError

from keyvault_svc.domain.reconciliation import Tolerance
from keyvault_svc.domain.reconciling import ReconcilingPolicy
from keyvault_svc.reconciliation_settings import ReconciliationSettings
from svc_runtime.spiffe_id import SpiffeId
from tests.unit.keyvault_svc.reconciling_stage import ADMIN_KEY


def test_nothing_is_reconciled_unless_an_admin_key_is_named() -> None:
    assert ReconciliationSettings().policy() == ReconcilingPolicy(
        None, frozenset(), Tolerance(100, 2_000, 2.0), timedelta(hours=12)
    )


def test_every_setting_reaches_the_rules() -> None:
    settings = ReconciliationSettings(
        admin_key=str(ADMIN_KEY),
        gateways=("spiffe://example.org/svc/reconciler",),
        ready_after_hours=36,
        tolerated_requests=1,
        tolerated_tokens=2,
        tolerated_percent=0.5,
    )

    assert settings.policy() == ReconcilingPolicy(
        ADMIN_KEY,
        frozenset({SpiffeId.parse("spiffe://example.org/svc/reconciler")}),
        Tolerance(1, 2, 0.5),
        timedelta(hours=36),
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("admin_key", "openai-admin"),
        ("gateways", ["reconciler"]),
        ("ready_after_hours", -25),
        ("tolerated_requests", -1),
        ("tolerated_tokens", -1),
        ("tolerated_percent", 101),
        ("admin_keys", "x"),
    ],
)
def test_what_cannot_be_meant_is_refused(field: str, value: object) -> None:
    with pytest.raises(ValidationError, match=field):
        ReconciliationSettings.model_validate({field: value})
