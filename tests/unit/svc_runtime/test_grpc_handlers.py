from __future__ import annotations

import subprocess
import sys

from tests.unit.svc_runtime import broken_server


def _break(way: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, broken_server.__file__, way],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_server_that_breaks_writes_to_no_memory_that_is_anothers() -> None:
    ended = _break("generic")

    assert (ended.returncode, ended.stdout) == (0, "0\n")


def test_a_server_of_registered_methods_that_breaks_overwrites_what_is_anothers() -> None:
    """Pin a flaw of grpc.aio: when this test fails, `generic_only` is needed no more."""
    ended = _break("registered")

    assert ended.returncode < 0 or int(ended.stdout) > 0
