"""A bootstrap that begins before Vault does: it is tried again, for as long as somebody wants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from keyvault_svc.vault.bootstrap.errors import BootstrapError
from svc_runtime.clock import Clock

_FIRST_PAUSE_SECONDS: Final = 1.0
_LONGEST_PAUSE_SECONDS: Final = 15.0


def patiently(
    run: Callable[[], None],
    wait_seconds: float,
    clock: Clock,
    sleep: Callable[[float], object],
    report: Callable[[str], None],
) -> None:
    """Call *run*, and again while Vault is away, with longer and longer pauses.

    Steps that a broken run had done are found right by the next one.

    Args:
        run: The whole bootstrap, with its login.
        wait_seconds: How long to try; 0 for once.
        clock: Source of monotonic time.
        sleep: Waits for a number of seconds.
        report: Called with one line before each pause.

    Raises:
        BootstrapError: A step failed for another reason, or Vault was away for all that time.
    """
    give_up = clock.monotonic() + wait_seconds
    pause = _FIRST_PAUSE_SECONDS
    while True:
        try:
            run()
        except BootstrapError as error:
            left = give_up - clock.monotonic()
            if not error.is_vault_away or left <= 0:
                raise
            problem = error.problem
        else:
            return
        report(f"waiting: {problem} Trying again, for {left:.0f} s at most.")
        sleep(min(pause, left))
        pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
