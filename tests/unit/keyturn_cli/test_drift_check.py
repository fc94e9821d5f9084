from __future__ import annotations

import json

import pytest

from keyturn_cli.check_result import CheckState
from keyturn_cli.drift_check import judge_drift

STEPS = json.dumps(
    [
        {"name": "mount keyturn-kv/", "outcome": "ok", "detail": ""},
        {"name": "policy gateway-svc", "outcome": "drift", "detail": "differs"},
        {"name": "audit device", "outcome": "manual", "detail": "declare it"},
    ]
).encode()


@pytest.mark.parametrize(
    ("return_code", "state"),
    [(0, CheckState.OK), (1, CheckState.PROBLEM), (2, CheckState.PROBLEM), (3, CheckState.PROBLEM)],
)
def test_only_code_0_means_no_drift(return_code: int, state: CheckState) -> None:
    assert judge_drift(return_code, STEPS, "mend").state == state


def test_what_differs_is_named() -> None:
    result = judge_drift(3, STEPS, "run it")

    assert (result.detail, result.mend) == ("differs: policy gateway-svc, audit device", "run it")


@pytest.mark.parametrize("output", [b"", b"no json", b"{}", b"[1]", b'[{"name": "x"}]'])
def test_drift_is_told_even_when_its_list_cannot_be_read(output: bytes) -> None:
    result = judge_drift(3, output, "run it")

    assert (result.state, result.detail) == (CheckState.PROBLEM, "differs: see the command")
