"""One day of a real local stack for all tests of verification."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.clients import Clients
from tests.integration.audit.day import Day, lived_day


@pytest.fixture(scope="session")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Day, Clients]]:
    """A day that is over, and the stack in which only Vault still runs."""
    with lived_day(tmp_path_factory.mktemp("day") / "home") as lived:
        yield lived


@pytest.fixture(scope="session")
def day(lived: tuple[Day, Clients]) -> Day:
    """A day that is over."""
    return lived[0]
