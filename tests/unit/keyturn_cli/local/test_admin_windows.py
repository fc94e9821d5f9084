from __future__ import annotations

from pathlib import Path

import pytest

from keyturn_cli.audit.options import SECOND_US, Window
from keyturn_cli.audit.windows import read_windows
from keyturn_cli.local.admin_windows import administration
from tests.fakes.fake_clock import FakeClock

HOUR = 3600  # seconds


def _window(clock: FakeClock, seconds: int) -> Window:
    """Return the window that ends now."""
    end_us = round(clock.now().timestamp() * SECOND_US)
    return Window(end_us - seconds * SECOND_US, end_us)


def test_each_time_of_administration_is_a_window(tmp_path: Path) -> None:
    file, clock, expected = tmp_path / "windows", FakeClock(), []
    for seconds in (HOUR, 2 * HOUR):
        with administration(file, clock):
            clock.advance(seconds)
        expected.append(_window(clock, seconds))
        clock.advance(HOUR)

    assert read_windows(file) == expected


def test_administration_that_fails_is_a_window_too(tmp_path: Path) -> None:
    file, clock = tmp_path / "windows", FakeClock()

    with pytest.raises(ValueError, match="broken"), administration(file, clock):  # noqa: PT012 - what fails, fails after some time
        clock.advance(HOUR)
        raise ValueError("broken")

    assert read_windows(file) == [_window(clock, HOUR)]
