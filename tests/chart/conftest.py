"""Each values combination, rendered once for all tests of the chart."""

from __future__ import annotations

import pytest

from tests.chart.chart_engines import COMBINATIONS, combination_values, render_with_helm4
from tests.chart.releases import Release


@pytest.fixture(scope="session")
def releases() -> dict[str, Release]:
    """What Helm 4 renders, by combination."""
    return {
        name: Release(name, values, render_with_helm4(values))
        for name in COMBINATIONS
        for values in [combination_values(name)]
    }


@pytest.fixture(params=COMBINATIONS)
def release(request: pytest.FixtureRequest, releases: dict[str, Release]) -> Release:
    """Each combination in turn."""
    return releases[request.param]


@pytest.fixture(scope="session")
def minimal(releases: dict[str, Release]) -> Release:
    """What the chart renders with its defaults, and only what has no default beside them."""
    return releases["minimal"]
