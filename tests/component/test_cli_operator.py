from __future__ import annotations

import json
from collections.abc import Callable

import grpc
import pytest
from click.testing import Result

from keyturn.keyvault.v1 import limits_pb2 as limits_pb
from keyvault_svc.domain.errors import NotTheOwnerError, SuspendedError, TooManySuspensionsError
from svc_runtime.service_error import ServiceError
from tests.component.cli_stage import FakeServices

Run = Callable[..., Result]
KEY = "users/alice/keys/openai"


@pytest.mark.parametrize("subject", [KEY, "teams/payments", "spiffe://example.org/app/a", "*"])
def test_a_stop_is_told_with_its_reason(run: Run, services: FakeServices, subject: str) -> None:
    result = run("operator", "suspend", subject, "--reason", "leaked, ticket 4711")

    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == f"Suspended {subject}, by alice: leaked, ticket 4711\n"
    assert services.suspensions[subject].reason == "leaked, ticket 4711"


def test_what_was_suspended_before_keeps_its_reason_and_that_is_told(run: Run) -> None:
    run("operator", "suspend", "*", "--reason", "first")

    result = run("operator", "suspend", "*", "--reason", "second")

    assert result.stderr.splitlines() == [
        "Suspended *, by alice: first",
        "It was suspended before; the first reason stays.",
    ]


def test_a_stop_needs_a_reason(run: Run, services: FakeServices) -> None:
    result = run("operator", "suspend", "*")

    assert (result.exit_code, services.suspensions) == (2, {})
    assert "--reason" in result.stderr


def test_resuming_tells_whether_there_was_a_stop(run: Run) -> None:
    run("operator", "suspend", "teams/payments", "--reason", "drill")

    first, second = (run("operator", "resume", "teams/payments") for _ in range(2))

    assert (first.exit_code, first.stderr) == (0, "Resumed teams/payments.\n")
    assert second.exit_code == 0
    assert second.stderr.startswith("teams/payments was not suspended")


def test_the_controls_are_shown_as_tables(run: Run) -> None:
    run("operator", "suspend", "*", "--reason", "drill")
    run("operator", "limits", "bob", "--usd-per-month", "12.50", "--concurrent-calls", "3")

    result = run("operator", "controls")

    lines = [line.split("  ") for line in result.stdout.splitlines()]
    cells = [[cell.strip() for cell in line if cell.strip()] for line in lines]
    assert cells == [
        ["SUSPENDED", "SINCE", "BY", "REASON"],
        ["*", "2026-01-02 03:04Z", "alice", "drill"],
        ["OWNER", "LIMITS"],
        ["users/bob", "concurrent calls 3, USD per month 12.50"],
    ]
    assert result.stderr == "Owners without limits of their own: USD per month 100.00.\n"


def test_where_nothing_is_suspended_that_is_told(run: Run) -> None:
    result = run("operator", "controls")

    assert (result.stdout, result.stderr.splitlines()[0]) == ("", "Nothing is suspended.")


def test_programs_get_documents(run: Run) -> None:
    made = json.loads(run("operator", "suspend", KEY, "--reason", "drill", "--json").stdout)
    limits = json.loads(run("operator", "limits", "bob", "--tokens-per-day", "7", "--json").stdout)
    seen = json.loads(run("operator", "controls", "--json").stdout)
    ended = json.loads(run("operator", "resume", KEY, "--json").stdout)

    assert made == {
        "subject": KEY,
        "reason": "drill",
        "creator": "alice",
        "create_time": "2026-01-02T03:04:05Z",
    }
    assert limits == {"owner": "users/bob", "limits": {"tokens_per_day": 7}}
    assert seen == {
        "suspensions": [made],
        "owner_limits": [limits],
        "default_owner_limits": {"usd_per_month": "100"},
    }
    assert ended == {"subject": KEY, "was_suspended": True}


def test_limits_are_set_emptied_and_taken_back(run: Run, services: FakeServices) -> None:
    strict = run("operator", "limits", "teams/a", "--requests-per-minute", "5")
    assert services.owner_limits == {"teams/a": limits_pb.Limits(requests_per_minute=5)}
    unlimited = run("operator", "limits", "teams/a", "--unlimited")
    assert services.owner_limits == {"teams/a": limits_pb.Limits()}
    default = run("operator", "limits", "teams/a", "--default")
    assert services.owner_limits == {}

    assert [result.stderr for result in (strict, unlimited, default)] == [
        "Limits of teams/a from now on: requests per minute 5.\n",
        "Limits of teams/a from now on: no limits.\n",
        "Limits of teams/a from now on: USD per month 100.00.\n",
    ]


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--unlimited", "--default"],
        ["--unlimited", "--tokens-per-day", "5"],
        ["--default", "--usd-per-day", "1"],
        ["--tokens-per-day", "0"],
        ["--concurrent-calls", "many"],
        ["--concurrent-calls", "1000001"],
        ["--usd-per-month", "1e9"],
    ],
    ids=" ".join,
)
def test_limits_that_contradict_each_other_are_not_sent(
    run: Run, services: FakeServices, options: list[str]
) -> None:
    result = run("operator", "limits", "bob", *options)

    assert (result.exit_code, services.calls) == (2, [])


@pytest.mark.parametrize(
    ("error", "code", "exit_code", "hint"),
    [
        (NotTheOwnerError(), grpc.StatusCode.PERMISSION_DENIED, 3, "keyturn login"),
        (
            TooManySuspensionsError(),
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            4,
            "keyturn operator resume",
        ),
        (SuspendedError(), grpc.StatusCode.PERMISSION_DENIED, 3, "Ask your operators"),
    ],
    ids=["no operator", "too many", "suspended"],
)
def test_a_refusal_says_what_to_do(
    run: Run,
    services: FakeServices,
    error: ServiceError,
    code: grpc.StatusCode,
    exit_code: int,
    hint: str,
) -> None:
    services.failure = (error, code)

    result = run("operator", "suspend", "*", "--reason", "drill")

    assert result.exit_code == exit_code
    assert error.public_message in result.stderr
    assert hint in result.stderr


def test_what_others_wrote_cannot_drive_the_terminal(run: Run) -> None:
    run("operator", "suspend", "*", "--reason", "\x1b[2Jgone")

    result = run("operator", "controls")

    assert "gone" in result.stdout
    assert "\x1b" not in result.stdout
