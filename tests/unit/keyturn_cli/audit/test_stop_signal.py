from __future__ import annotations

import signal

import pytest

from keyturn_cli.audit.stop_signal import stop_at_signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_and_does_not_interrupt(number: signal.Signals) -> None:
    with stop_at_signals() as stop:
        assert not stop.wait(0)

        signal.raise_signal(number)

        assert stop.is_set()
        assert stop.wait(3600)


def test_a_second_signal_interrupts() -> None:
    with stop_at_signals():
        signal.raise_signal(signal.SIGINT)

        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_what_signals_did_before_they_do_again() -> None:
    before = signal.getsignal(signal.SIGTERM)

    with stop_at_signals():
        assert signal.getsignal(signal.SIGTERM) != before

    assert signal.getsignal(signal.SIGTERM) == before
