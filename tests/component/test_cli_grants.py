from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable

import pytest
from click.testing import Result

from keyturn.keyvault.v1 import grant_service_pb2 as grants_pb
from tests.component.cli_stage import APP, GRANT, FakeServices
from tests.component.fake_grant_port import TEXT, VERSION

Run = Callable[..., Result]

ADD = ("grants", "add", "openai", "--app", APP, "--model", "*", "--endpoint", "*")
NAME = "openai/grants/0123456789abcdef"


def test_a_script_that_does_not_agree_grants_nothing_and_sends_nothing(
    run: Run, services: FakeServices
) -> None:
    result = run(*ADD)

    assert (result.exit_code, services.calls) == (2, [])
    assert "--yes" in result.stderr


def test_a_script_agrees_to_the_text_in_force(run: Run, services: FakeServices) -> None:
    result = run(*ADD, "--yes")

    assert result.exit_code == 0
    request = services.calls[-1].request
    assert isinstance(request, grants_pb.CreateGrantRequest)
    assert request.consent_text_version == VERSION


def test_a_script_agrees_to_one_version_and_is_refused_by_another(
    run: Run, services: FakeServices
) -> None:
    refused = run(*ADD, "--consent-text", "2026-01")
    granted = run(*ADD, "--consent-text", VERSION)

    assert (refused.exit_code, "CONSENT_TEXT_OUTDATED" in refused.stderr) == (4, True)
    assert (granted.exit_code, len(services.grants)) == (0, 1)


@pytest.mark.parametrize(("answer", "is_granted"), [(b"y\n", True), (b"\n", False)])
def test_a_person_reads_the_text_and_is_asked(
    environment: dict[str, str], services: FakeServices, answer: bytes, *, is_granted: bool
) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "keyturn_cli", *ADD],
        env={**os.environ, **environment},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    while b"[y/N]: " not in shown:
        shown += os.read(ours, 1024)

    os.write(ours, answer)

    while (b"from now on" if is_granted else b"Nothing was granted") not in shown:
        shown += os.read(ours, 1024)
    assert process.wait() == (0 if is_granted else 2)
    os.close(ours)
    assert all(line.encode() in shown for line in (*TEXT.splitlines(), VERSION))
    assert len(services.grants) == is_granted


def test_a_grant_takes_limits_and_asks_for_proofs(run: Run, services: FakeServices) -> None:
    limits = ("--concurrent-calls", "3", "--tokens-per-day", "9", "--usd-per-month", "12.50")

    result = run(*ADD, *limits, "--needs-owner-presence", "--needs-app-proof", "--yes", "--json")

    document = json.loads(result.stdout)
    assert document["limits"] == {
        "concurrent_calls": 3,
        "tokens_per_day": 9,
        "usd_per_month": "12.50",
    }
    assert (document["needs_owner_presence"], document["needs_app_proof"]) == (True, True)
    assert document["may_choose_account"] is False
    assert not services.grants[0].limits.HasField("requests_per_minute")


def test_a_change_sends_only_what_was_typed(run: Run, services: FakeServices) -> None:
    typed = ("--model", "gpt-4o", "--usd-per-day", "5", "--no-may-choose-account")

    result = run("grants", "set", NAME, *typed, "--remove", "expires")

    [update] = services.updates
    assert result.exit_code == 0
    assert (update.grant.name, update.consent_text_version) == (GRANT, "")
    assert sorted(update.update_mask.paths) == [
        *("expire_time", "limits.usd_per_day", "may_choose_account", "models")
    ]
    assert (list(update.grant.models), update.grant.limits.usd_per_day) == (["gpt-4o"], "5")


def test_a_change_that_widens_needs_the_consent(run: Run, services: FakeServices) -> None:
    services.is_widening = True

    refused = run("grants", "set", NAME, "--model", "*")
    changed = run("grants", "set", NAME, "--model", "*", "--yes")

    assert (refused.exit_code, "--yes" in refused.stderr) == (2, True)
    assert changed.exit_code == 0
    assert [update.consent_text_version for update in services.updates] == [VERSION]


@pytest.mark.parametrize(
    "typed", [(), ("--expires", "30d", "--remove", "expires")], ids=["nothing", "both"]
)
def test_a_change_of_nothing_or_of_two_minds_is_not_sent(
    run: Run, services: FakeServices, typed: tuple[str, ...]
) -> None:
    result = run("grants", "set", NAME, *typed)

    assert (result.exit_code, services.calls) == (2, [])


@pytest.mark.parametrize(
    ("typed", "parent"),
    [
        ((), "users/alice"),
        (("openai",), "users/alice/keys/openai"),
        (("teams/payments",), "teams/payments"),
        (("teams/payments", "--app", APP), "teams/payments"),
    ],
)
def test_grants_are_listed_of_a_key_or_of_an_owner(
    run: Run, services: FakeServices, typed: tuple[str, ...], parent: str
) -> None:
    result = run("grants", "list", *typed)

    assert (result.exit_code, result.stdout) == (0, "")
    assert "it." in result.stderr
    assert services.calls[-1].request == grants_pb.ListGrantsRequest(
        parent=parent, app=APP if "--app" in typed else ""
    )
