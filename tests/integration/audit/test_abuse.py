"""What is done to a real Vault is found in its log, by its code and by no other."""

from __future__ import annotations

import pytest

from tests.e2e.clients import Clients
from tests.integration.audit.abuse_table import ABUSES
from tests.integration.audit.day import Day
from tests.integration.audit.judging import codes, judge
from tests.integration.audit.thief import Thief


@pytest.fixture(scope="session")
def thief(lived: tuple[Day, Clients]) -> Thief:
    """Somebody with the stack's root token, and its services' credentials."""
    return Thief(lived[1])


@pytest.mark.parametrize("name", ABUSES)
def test_abuse_is_found(lived: tuple[Day, Clients], thief: Thief, name: str) -> None:
    day, clients = lived
    abuse, expected = ABUSES[name]
    log = clients.stack.openbao.audit_log
    begin = len(log.read_bytes())

    abuse(thief)

    assert codes(judge(day, [*day.vault, *log.read_bytes()[begin:].splitlines()])) == expected
