from __future__ import annotations

import subprocess
import sys
from typing import Final

import pytest

# A port that is taken: gRPC's core has much to say about it.
_PROGRAM: Final = """
import {package}
import grpc, socket
taken = socket.create_server(("127.0.0.1", 0))
try:
    grpc.server(None).add_insecure_port("127.0.0.1:%d" % taken.getsockname()[1])
except RuntimeError:
    print("taken")
"""


def _said(package: str, **environment: str) -> tuple[str, str]:
    program = _PROGRAM.format(package=package)
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, env=environment, text=True
    )
    return ended.stdout, ended.stderr


@pytest.mark.parametrize("package", ["gateway_svc", "keyvault_svc"])
def test_grpcs_core_says_nothing_in_a_service(package: str) -> None:
    assert _said(package) == ("taken\n", "")


def test_grpcs_core_would_have_said_something() -> None:
    printed, complaint = _said("sys")

    assert printed == "taken\n"
    assert complaint != ""


def test_an_operator_can_hear_grpcs_core() -> None:
    _, complaint = _said("gateway_svc", GRPC_VERBOSITY="ERROR")

    assert complaint != ""
