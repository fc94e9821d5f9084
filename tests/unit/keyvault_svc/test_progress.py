from __future__ import annotations

import io

from keyvault_svc.progress import Progress
from tests.fakes.fake_clock import FakeClock


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_log_gets_whole_lines_now_and_then_and_no_bar() -> None:
    log, clock = io.StringIO(), FakeClock()
    with Progress(log, clock) as progress:
        for done in range(1, 31):
            clock.advance(1)
            progress.show("rewrapping", done, 30, "owner", "rewrapped 3")

    assert log.getvalue() == (
        "rewrapping: 10 of 30 owners, rewrapped 3\n"
        "rewrapping: 20 of 30 owners, rewrapped 3\n"
        "rewrapping: 30 of 30 owners, rewrapped 3\n"
    )


def test_the_end_of_a_phase_is_told_to_a_log_once() -> None:
    log = io.StringIO()
    with Progress(log, FakeClock()) as progress:
        for done in (1, 2, 3, 3):
            progress.show("looking", done, 3, "owner")

    assert log.getvalue() == "looking: 3 of 3 owners\n"


def test_a_terminal_gets_one_bar_for_each_phase() -> None:
    terminal = _Terminal()
    with Progress(terminal, FakeClock()) as progress:
        progress.show("rewrapping", 2, 2, "owner", "rewrapped 1")
        progress.show("waiting", 0, 9, "second")

    shown = terminal.getvalue()
    assert "rewrapping: 100%" in shown
    assert "waiting:   0%" in shown
    assert shown.endswith("\n")
