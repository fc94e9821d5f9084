from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from click.testing import Result

from keyturn.keyvault.v1 import grant_request_service_pb2 as request_pb
from tests.component.cli_stage import APP, GRANT, FakeServices
from tests.component.fake_grant_port import VERSION

Run = Callable[..., Result]

KEY = "users/alice/keys/openai"
REQUEST = f"{KEY}/grantRequests/0123456789abcdef"
SHORT = "openai/grantRequests/0123456789abcdef"
REASON = "Sorts incoming invoices"
TERMS = ("--model", "gpt-4o*", "--endpoint", "chat/completions", "--usd-per-day", "50")


@pytest.fixture
def asked(run: Run) -> Result:
    return run("requests", "ask", KEY, "--app", APP, *TERMS, "--reason", REASON)


def test_an_app_developer_asks_with_a_reason(
    run: Run, services: FakeServices, asked: Result
) -> None:
    assert (asked.exit_code, asked.stdout) == (0, f"{REQUEST}\n")
    request = services.requests[REQUEST]
    assert (request.reason, request.grant.app) == (REASON, APP)
    assert (list(request.grant.models), request.grant.limits.usd_per_day) == (["gpt-4o*"], "50")
    assert run("requests", "ask", KEY, "--app", APP, *TERMS).exit_code == 2


def test_an_owner_sees_what_waits_and_what_was_decided(run: Run, asked: Result) -> None:
    assert asked.exit_code == 0
    waiting = run("requests", "list")
    run("requests", "decline", SHORT, "--answer", "Use the team's key.")

    assert all(word in waiting.stdout for word in (REQUEST, "open", APP, "dev", REASON))
    assert "Nobody waits" in run("requests", "list").stderr
    [decided] = json.loads(run("requests", "list", "--all", "--json").stdout)["requests"]
    assert (decided["state"], decided["answer"]) == ("declined", "Use the team's key.")
    shown = run("requests", "show", SHORT).stdout
    assert all(word in shown for word in ("declined", "by alice", "Use the team's key.", "gpt-4o*"))


def test_a_request_is_approved_as_asked(run: Run, services: FakeServices, asked: Result) -> None:
    assert asked.exit_code == 0

    result = run("requests", "approve", SHORT, "--yes", "--answer", "Fine")

    assert (result.exit_code, result.stdout) == (0, f"{GRANT}\n")
    sent = services.calls[-1].request
    assert sent == request_pb.ApproveGrantRequestRequest(
        name=REQUEST, consent_text_version=VERSION, answer="Fine"
    )
    document = json.loads(run("requests", "show", SHORT, "--json").stdout)
    assert (document["state"], document["granted"]) == ("approved", GRANT)


def test_a_request_is_approved_with_what_was_typed_in_place_of_what_was_asked(
    run: Run, services: FakeServices, asked: Result
) -> None:
    assert asked.exit_code == 0

    result = run("requests", "approve", SHORT, "--model", "gpt-4o-mini", "--yes", "--json")

    grant = json.loads(result.stdout)
    assert (grant["app"], grant["models"]) == (APP, ["gpt-4o-mini"])
    assert (grant["endpoints"], grant["limits"]) == (["chat/completions"], {"usd_per_day": "50"})
    assert len(services.grants) == 1


def test_an_approval_without_a_terminal_needs_an_agreement(
    run: Run, services: FakeServices, asked: Result
) -> None:
    assert asked.exit_code == 0

    result = run("requests", "approve", SHORT)

    assert (result.exit_code, services.grants) == (2, [])
    assert "--yes" in result.stderr
    assert REASON in result.stderr
