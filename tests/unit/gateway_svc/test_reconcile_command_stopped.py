"""The job that reconciles ends in order when it is told to stop."""

from __future__ import annotations

import subprocess
import sys

import pytest

_JOB = """
import asyncio, os, signal, sys
from gateway_svc import reconcile_command


async def run(settings, options, clock):
    try:
        os.kill(os.getpid(), signal.{name})
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0)  # what ends the stream takes its time
        sys.stderr.write("signed to its end\\n")


reconcile_command._run = run
sys.exit(reconcile_command.reconcile(None, reconcile_command.ReconcileOptions(None, False)))
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_job_that_is_told_to_stop_ends_its_stream_and_says_so(name: str) -> None:
    outcome = subprocess.run(
        [sys.executable, "-c", _JOB.format(name=name)],
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )

    assert outcome.returncode == 1
    assert outcome.stdout == ""
    assert outcome.stderr.splitlines() == [
        "signed to its end",
        "gateway-svc: It was told to stop before it was done. Run it again.",
    ]
