"""What somebody alters in Vault's audit log, or does that leaves such lines, is found."""

from __future__ import annotations

import dataclasses
import json
from ipaddress import ip_network

import pytest

from keyturn_cli.audit.options import SECOND_US
from tests.integration.audit.day import Day
from tests.integration.audit.edits import EDITS
from tests.integration.audit.judging import codes, judge
from tests.integration.audit.log_edit import (
    DECRYPT,
    RECORDS,
    LogEdit,
)

_POLL = "keyturn-kv/metadata/verifications/"


def test_a_real_day_has_no_finding(day: Day) -> None:
    assert judge(day) == []


@pytest.mark.parametrize("name", EDITS)
def test_what_is_wrong_is_found_by_its_code_and_by_no_other(day: Day, name: str) -> None:
    edit, expected = EDITS[name]
    log = LogEdit(day)
    edit(log)

    assert codes(judge(day, log.lines())) == expected


def test_a_finding_names_the_lines_that_show_it(day: Day) -> None:
    log = LogEdit(day)
    log.relabel(log.of(DECRYPT, log.lease), "app", "spiffe://keyturn.local/app/x")
    lines = log.lines()

    [finding] = judge(day, lines)

    shown = [json.loads(lines[place.line - 1])["request"]["path"] for place in finding.places]
    assert shown == [log.of(RECORDS, log.lease)[0]["request"]["path"], DECRYPT]
    assert "spiffe://keyturn.local/app/x" in finding.sentence


def test_a_line_that_is_cut_short_is_found(day: Day) -> None:
    lines = list(day.vault)
    index = len(lines) // 2
    lines[index] = lines[index][:200]

    assert "LINE_UNREADABLE" in codes(judge(day, lines))


def test_a_line_that_was_put_in_later_is_found(day: Day) -> None:
    log = LogEdit(day)
    [request, answer] = log.repeat(log.of(_POLL)[:2], 0)
    log.remove([request, answer])
    log.entries += [request, answer]

    assert codes(judge(day, log.lines())) == {"CLOCK_BACKWARDS"}


def test_a_silence_is_found_if_it_is_asked_for(day: Day) -> None:
    log = LogEdit(day)
    log.repeat(log.of(_POLL)[:2], 600)
    lines = log.lines()

    assert codes(judge(day, lines, max_gap_us=60 * SECOND_US)) == {"LOG_SILENT"}
    assert judge(day, lines) == []


def test_a_service_from_another_network_is_found(day: Day) -> None:
    near, far = ip_network("127.0.0.0/8"), ip_network("10.0.0.0/8")

    assert judge(day, service_networks=(near, far)) == []
    assert codes(judge(day, service_networks=(far,))) == {"SERVICE_FROM_ELSEWHERE"}


def test_bootstrap_is_found_unless_its_window_is_named(day: Day) -> None:
    found = codes(judge(dataclasses.replace(day, windows=[])))

    assert found >= {"POLICY_CHANGED", "AUTH_METHOD_CHANGED", "SECRET_ID_MADE", "MOUNT_CHANGED"}
    assert found >= {"TRANSIT_KEY_CHANGED", "CA_CHANGED", "OIDC_CHANGED", "ROOT_TOKEN_USED"}
    assert not {code for code in found if code.startswith(("LEASE", "DECRYPT", "RECORD"))}


def test_a_log_that_begins_in_the_midst_has_no_finding_of_what_came_before(day: Day) -> None:
    log = LogEdit(day)
    for begin in log.of_lease():
        later = log.lines()[log.entries.index(begin) + 1 :]

        assert judge(day, later) == []


def test_a_log_that_ends_in_the_midst_has_no_finding_of_what_comes_after(day: Day) -> None:
    log = LogEdit(day)
    for end in log.of_lease():
        earlier = log.lines()[: log.entries.index(end)]

        assert judge(day, earlier) == []


@pytest.mark.parametrize("name", EDITS)
def test_a_verification_that_goes_on_from_a_checkpoint_finds_the_same(day: Day, name: str) -> None:
    edit, expected = EDITS[name]
    log = LogEdit(day)
    edit(log)

    assert codes(judge(day, log.lines(), resume_every=97)) == expected
