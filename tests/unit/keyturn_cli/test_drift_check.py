from __future__ import annotations

import json

import pytest

from keyturn_cli.check_result import CheckState
from keyturn_cli.drift_check import judge_drift

COMMAND = "keyvault-svc bootstrap"
RIGHT = {
    "audit device": "only one audit device",
    "audited request headers": "",
    "mount keyturn-kv/": "",
    "policy gateway-svc": "",
    "AppRole gateway-svc": "",
    "AppRole keyvault-svc": "",
}


def _output(**wrong: tuple[str, str]) -> bytes:
    """Return what a dry run prints; *wrong* gives outcome and detail of some steps."""
    found = {name: ("ok", detail) for name, detail in RIGHT.items()} | {
        name.replace("_", " "): outcome for name, outcome in wrong.items()
    }
    return json.dumps(
        [{"name": n, "outcome": o, "detail": d} for n, (o, d) in found.items()]
    ).encode()


def _states(output: bytes) -> dict[str, str]:
    return {result.name: result.state.value for result in judge_drift(output, COMMAND)}


def test_what_is_right_is_told_in_four_lines() -> None:
    results = {r.name: r.detail for r in judge_drift(_output(), COMMAND)}

    assert results == {
        "Vault audit device": "only one audit device",
        "Vault audited headers": "as bootstrap left it",
        "Vault logins and token TTLs": "2 roles as bootstrap left them",
        "Vault set-up": "4 steps as bootstrap left them",
    }


def test_each_step_that_differs_is_a_problem_with_what_differs_and_how_to_mend_it() -> None:
    steps = {
        "policy gateway-svc": ("drift", "differs from gateway-svc.hcl"),
        "AppRole gateway-svc": ("drift", "token_ttl is 3600, not 900"),
        "mount keyturn-kv/": ("drift", ""),
    }

    problems = [
        (r.name, r.detail, r.mend)
        for r in judge_drift(_output(**steps), COMMAND)
        if r.state is CheckState.PROBLEM
    ]

    assert sorted(problems) == [
        ("Vault set-up: AppRole gateway-svc", "token_ttl is 3600, not 900", COMMAND),
        ("Vault set-up: mount keyturn-kv/", "differs", COMMAND),
        ("Vault set-up: policy gateway-svc", "differs from gateway-svc.hcl", COMMAND),
    ]


def test_logins_are_not_called_right_when_one_differs() -> None:
    states = _states(_output(**{"AppRole gateway-svc": ("drift", "token_ttl is 1, not 900")}))

    assert "Vault logins and token TTLs" not in states
    assert "Vault set-up" not in states


def test_what_must_be_done_by_hand_is_told_with_the_advice() -> None:
    output = _output(
        audit_device=("manual", "no audit device: add to the configuration:\naudit {}")
    )

    [result] = [r for r in judge_drift(output, COMMAND) if r.name == "Vault audit device"]

    assert result.state is CheckState.PROBLEM
    assert (result.detail, result.mend) == (
        "no audit device",
        "add to the configuration:\naudit {}",
    )


def test_hashed_headers_are_a_problem_of_their_own_check() -> None:
    wrong = {"audited request headers": ("drift", "missing or hashed: X-Keyturn-Key")}

    assert _states(_output(**wrong))["Vault audited headers"] == "problem"


def test_a_step_that_stopped_the_comparison_is_told_with_its_remedy() -> None:
    rows = [
        {"name": "audit device", "outcome": "ok", "detail": ""},
        {
            "name": "audited request headers",
            "outcome": "failed",
            "detail": "Vault denies the token",
            "remedy": "Use another",
        },
    ]

    results = judge_drift(json.dumps(rows).encode(), COMMAND)

    assert [(r.name, r.state.value, r.mend) for r in results] == [
        ("Vault audit device", "ok", ""),
        ("Vault audited headers", "problem", "Use another"),
        ("Vault set-up", "skipped", ""),
    ]


@pytest.mark.parametrize("output", [b"", b"[]", b"no json", b"{}", b"[1]", b'[{"name": "x"}]'])
def test_a_list_that_cannot_be_read_is_a_problem(output: bytes) -> None:
    [result] = judge_drift(output, COMMAND)

    assert (result.name, result.state) == ("Vault set-up", CheckState.PROBLEM)
    assert result.mend == f"{COMMAND} --dry-run"
