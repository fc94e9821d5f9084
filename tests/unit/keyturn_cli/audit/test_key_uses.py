from __future__ import annotations

from collections.abc import Iterable

import pytest

from keyturn_cli.audit.deployment import Deployment
from keyturn_cli.audit.key_uses import KeyUse, KeyUses, UseKind
from keyturn_cli.audit.operation_feed import OperationFeed
from keyturn_cli.audit.options import VerifyOptions
from tests.unit.keyturn_cli.audit.key_use_lines import (
    APP,
    GATEWAY,
    KEY,
    asked,
    lease_at,
    opening_line,
    read_line,
    time_us,
    use_lines,
    vault_entry,
)

OTHER = "users/bob/keys/openai"


class Uses:
    """Takes lines, and keeps the uses that they make."""

    def __init__(self) -> None:
        self._deployment = Deployment(VerifyOptions())
        self._feed = OperationFeed(self._deployment.options.skew_us)
        self.uses = KeyUses(self._deployment, self._feed.span)
        self.told: list[KeyUse] = []

    def take(self, lines: Iterable[bytes]) -> list[KeyUse]:
        for line in lines:
            for operation in self._feed.see(vault_entry(line)):
                act = self._deployment.act(operation.entry)
                self.told += self.uses.see(operation, act)
        return self.told

    def finish(self) -> list[KeyUse]:
        self.told += self.uses.finish()
        return self.told


def _uses(*lines: bytes) -> list[KeyUse]:
    """Return the uses of *lines*, an hour after the beginning of the log."""
    uses = Uses()
    uses.take([asked(-3600, "read", "sys/health"), *lines])
    return uses.finish()


def test_an_opening_under_a_lease_that_was_read_is_one_use() -> None:
    (use,) = _uses(*use_lines(0))

    assert (use.kind, use.key, use.app, use.who) == (UseKind.OPENED, KEY, APP, "gateway-svc")
    assert use.time_us == time_us(0.005)
    assert not use.is_irregular
    assert not use.is_verification


def test_a_lease_whose_key_was_not_opened_is_a_refusal() -> None:
    (use,) = _uses(read_line(0, lease_at(0)))

    assert (use.kind, use.key, use.app) == (UseKind.REFUSED, KEY, APP)
    assert use.time_us == time_us(0)


def test_a_refusal_is_told_when_no_opening_can_come_any_more() -> None:
    uses = Uses()

    assert uses.take([read_line(0, lease_at(0)), *use_lines(30)])[0].time_us == time_us(30.005)
    assert UseKind.REFUSED in {use.kind for use in uses.take(use_lines(60))}


def test_an_opening_that_vault_denied_is_a_refusal() -> None:
    lease = lease_at(0)

    (use,) = _uses(read_line(0, lease), opening_line(1, lease, error="1 error: permission denied"))

    assert use.kind is UseKind.REFUSED


def test_an_opening_that_nobody_answered_counts() -> None:
    lease = lease_at(0)

    (use,) = _uses(
        read_line(0, lease), opening_line(1, lease, kind="request"), asked(20, "read", "sys/health")
    )

    assert (use.kind, use.is_irregular) == (UseKind.OPENED, False)


def test_an_opening_counts_also_if_another_node_logged_the_read_later() -> None:
    lease = lease_at(0)

    (use,) = _uses(opening_line(0, lease), read_line(0.5, lease))

    assert (use.kind, use.is_irregular) == (UseKind.OPENED, False)


def test_a_use_is_of_the_record_that_was_read_whatever_the_opening_says() -> None:
    lease = lease_at(0)

    (use,) = _uses(
        read_line(0, lease), opening_line(1, lease, key=OTHER, app="spiffe://elsewhere/app")
    )

    assert (use.key, use.app) == (KEY, APP)
    assert use.is_irregular


@pytest.mark.parametrize(
    ("line", "key"),
    [
        (opening_line(100, lease_at(100)), KEY),
        (opening_line(100, ""), KEY),
        (opening_line(100, "", role="root", key="", app=""), ""),
        (opening_line(100, lease_at(0)), KEY),
    ],
    ids=["record not read", "no lease", "somebody else", "second time"],
)
def test_an_opening_past_the_rules_is_a_use_too(line: bytes, key: str) -> None:
    uses = _uses(*use_lines(0), line)

    assert [use.kind for use in uses] == [UseKind.OPENED, UseKind.OPENED]
    assert [use.is_irregular for use in uses] == [False, True]
    assert uses[1].key == key


def test_an_opening_by_somebody_else_under_a_lease_that_was_read_is_past_the_rules() -> None:
    lease = lease_at(0)

    (use,) = _uses(read_line(0, lease), opening_line(1, lease, role="root"))

    assert (use.who, use.is_irregular) == ("root", True)


def test_a_read_before_the_beginning_of_the_log_is_not_missed() -> None:
    uses = Uses()
    uses.take([opening_line(0, lease_at(0))])

    assert [use.is_irregular for use in uses.finish()] == [False]


def test_a_lease_that_was_claimed_to_have_the_key_tried_is_a_verification() -> None:
    claim = asked(0, "update", "keyturn-kv/data/verifications/hash", request="claim")

    (use,) = _uses(claim, *use_lines(1, app=GATEWAY, request="claim"))

    assert use.is_verification


def test_a_check_of_an_open_connection_is_no_use() -> None:
    assert not _uses(read_line(0, ""))


def test_what_is_remembered_does_not_grow() -> None:
    uses = Uses()

    for second in range(600):
        uses.take(use_lines(second))

    assert len(uses.told) == 600
    assert len(uses.uses._leases) < 60
