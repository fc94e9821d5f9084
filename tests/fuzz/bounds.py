"""How long the fuzz tests go on."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# Without a random seed: what fails once fails everywhere, and every time.
bounded = settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
