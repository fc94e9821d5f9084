"""What a cell of the fault matrix takes for an outage that may be."""

from __future__ import annotations

import pytest

from tests.cluster.calling import OUTAGES, REFUSED, Heard, Protocol
from tests.e2e.breaking import SERVED, Verdict

_OUTAGE: Verdict = ("UNAVAILABLE", "VAULT_UNAVAILABLE")
_BEFORE, _DURING = Heard(1.0, 2.0, _OUTAGE), Heard(4.0, 6.0, _OUTAGE)
_FAULT_BEGIN = 5.0


def _protocol(*calls: Heard, has_elected: bool = False) -> Protocol:
    return Protocol(list(calls), has_elected=has_elected, fault_begin=_FAULT_BEGIN)


def test_an_outage_is_the_faults_or_that_of_an_election_before_it() -> None:
    assert _protocol(_BEFORE, _DURING).unexpected() == [_BEFORE]
    assert _protocol(_BEFORE, _DURING, has_elected=True).unexpected() == []


@pytest.mark.parametrize("has_elected", [False, True])
def test_no_election_makes_up_for_a_refusal_or_an_outage_in_other_words(
    has_elected: bool,  # noqa: FBT001 - pytest passes it by name
) -> None:
    heard = [Heard(6.0, 7.0, verdict) for verdict in (REFUSED, ("INTERNAL", None))]

    assert _protocol(*heard, has_elected=has_elected).unexpected() == heard


def test_an_election_serves_nobody_whose_grant_is_revoked() -> None:
    protocol = _protocol(has_elected=True)
    protocol.revoke_end = 8.0
    before, after = Heard(7.0, 9.0, SERVED), Heard(8.0, 9.0, SERVED)
    outages = [Heard(8.0, 9.0, verdict) for verdict in OUTAGES]
    protocol.calls_of_revoked = [before, after, *outages, Heard(8.0, 9.0, REFUSED)]

    assert protocol.unexpected() == [after]
