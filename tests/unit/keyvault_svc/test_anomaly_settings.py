from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from keyvault_svc.anomaly_settings import AnomalySettings
from keyvault_svc.domain.anomalies.policy import MAY_SUSPEND, AnomalyKind, Figure


def test_nothing_is_suspended_unless_a_setting_says_so() -> None:
    settings = AnomalySettings()

    assert settings.enabled
    assert settings.policy().suspends == frozenset()


def test_the_policy_is_what_is_set() -> None:
    policy = AnomalySettings(
        window_days=20,
        learn_days=5,
        learn_requests=9,
        spike_factor=4,
        min_requests=1,
        min_tokens=2,
        min_errors=3,
        min_refusals=4,
        min_late=5,
        error_percent=50,
        dormant_days=60,
    ).policy()

    assert (policy.window_days, policy.learn_days, policy.learn_requests) == (20, 5, 9)
    assert (policy.spike_factor, policy.error_percent, policy.dormant_days) == (4, 50, 60)
    assert [policy.floors[figure] for figure in Figure] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("kind", AnomalyKind)
def test_the_kinds_that_may_suspend_can_be_set_and_no_others(kind: AnomalyKind) -> None:
    if kind in MAY_SUSPEND:
        assert _settings(kind).policy().suspends == {kind}
    else:
        with pytest.raises(ValidationError):
            _settings(kind)


def _settings(kind: AnomalyKind) -> AnomalySettings:
    raw: dict[str, Any] = {"suspend": [kind.value]}
    return AnomalySettings.model_validate(raw)
