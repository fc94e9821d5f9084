"""Each opening of a key has one lease, for which the key service has just read one record."""

from __future__ import annotations

import json

import pytest

from keyturn_cli.audit.entries import Place, parse_vault_line
from keyturn_cli.audit.options import SECOND_US, VerifyOptions
from keyturn_cli.audit.verifier import Verifier
from tests.unit.keyturn_cli.audit.vault_lines import (
    APP,
    DECRYPT,
    GATEWAY,
    KEY,
    KEY_SERVICE,
    RECORD,
    Caller,
    Log,
    codes,
    judge,
)

_LIFE = VerifyOptions().lease_us / SECOND_US
_SKEW = VerifyOptions().skew_us / SECOND_US


@pytest.fixture
def log() -> Log:
    """A log with nothing before it."""
    log = Log()
    log.begin()
    return log


@pytest.mark.parametrize("prefix", [b"", b"@cee: "])
@pytest.mark.parametrize("role_field", ["role_name", "role", "cert_name"])
def test_a_call_has_no_finding_however_its_services_log_in(role_field: str, prefix: bytes) -> None:
    log = Log(prefix=prefix)
    log.begin()
    reader = Caller("keyvault-svc", ("keyvault-svc",), role_field)
    log.lease_and_open(reader=reader)

    assert judge(log.lines) == []


def test_the_key_service_may_read_the_controls_first(log: Log) -> None:
    lease = log.lease()
    log.look(lease)
    log.read(lease)
    log.open(lease)

    assert judge(log.lines) == []


def test_a_refused_call_opens_nothing_and_has_no_finding(log: Log) -> None:
    log.read(log.lease())
    log.wait(100)
    log.lease_and_open()

    assert judge(log.lines) == []


@pytest.mark.parametrize(
    ("seconds", "found"),
    [(_LIFE - 1, []), (_LIFE + _SKEW - 0.1, []), (_LIFE + _SKEW + 0.1, ["DECRYPT_LATE"])],
)
def test_a_lease_lives_half_a_minute_and_what_clocks_differ_by(
    log: Log, seconds: float, found: list[str]
) -> None:
    lease = log.lease()
    log.read(lease)
    log.look(lease)
    log.wait(seconds)
    log.open(lease)

    assert codes(judge(log.lines)) == found


def test_the_longest_life_of_a_lease_may_be_named(log: Log) -> None:
    lease = log.lease()
    log.read(lease)
    log.look(lease)
    log.wait(15)
    log.open(lease)

    assert codes(judge(log.lines, lease_us=10 * SECOND_US)) == ["DECRYPT_LATE"]


@pytest.mark.parametrize("seconds", [40, 100, 5000])
def test_an_id_that_is_used_again_is_found_however_late(log: Log, seconds: float) -> None:
    lease = log.lease_and_open()
    log.wait(seconds)
    log.open(lease)

    assert codes(judge(log.lines)) in (["LEASE_OPENED_TWICE"], ["DECRYPT_LATE"])


@pytest.mark.parametrize("seconds", [5, 40, 100, 5000])
def test_an_id_that_is_read_again_is_found_however_late(log: Log, seconds: float) -> None:
    lease = log.lease_and_open()
    log.wait(seconds)
    log.read(lease)
    log.look(lease)

    assert codes(judge(log.lines)) in (["LEASE_READ_TWICE"], ["LEASE_TIME_WRONG"])


@pytest.mark.parametrize(("seconds", "found"), [(-1, []), (-5, ["LEASE_TIME_WRONG"]), (9, [])])
def test_an_id_tells_the_time_of_its_read(log: Log, seconds: float, found: list[str]) -> None:
    lease = log.lease()
    log.wait(seconds)
    log.lease_and_open(lease)

    assert [code for code in codes(judge(log.lines)) if code != "CLOCK_BACKWARDS"] == found


@pytest.mark.parametrize("lease", ["x", "0" * 32, "17b9a7f55a104426bf35a2ae60f06b44", "0" * 33])
def test_what_is_no_id_of_a_lease_is_found(log: Log, lease: str) -> None:
    log.lease_and_open(lease)

    assert codes(judge(log.lines)) == ["LEASE_MALFORMED"]


def test_a_read_that_found_nothing_is_no_read(log: Log) -> None:
    lease = log.lease()
    log.operation(KEY_SERVICE, "read", RECORD, lease=lease, key=KEY, answer={})
    log.look(lease)
    log.open(lease)

    assert codes(judge(log.lines)) == ["DECRYPT_NOT_READ"]


def test_a_read_that_failed_is_no_read(log: Log) -> None:
    lease = log.lease()
    log.operation(KEY_SERVICE, "read", RECORD, lease=lease, key=KEY, error="internal error")
    log.look(lease)
    log.open(lease)

    assert codes(judge(log.lines)) == ["DECRYPT_NOT_READ"]


def test_a_decrypt_that_failed_opened_nothing(log: Log) -> None:
    lease = log.lease()
    log.read(lease)
    log.look(lease)
    log.operation(GATEWAY, "update", DECRYPT, lease=lease, error="invalid ciphertext")
    log.open(lease)

    assert codes(judge(log.lines)) == ["DECRYPT_FAILED"]


def test_nodes_whose_clocks_differ_a_little_have_no_finding() -> None:
    old, new = Log(name="one.log"), Log(name="two.log")
    old.begin()
    lease = old.lease()
    old.read(lease)
    old.look(lease)
    new.now = old.now
    new.wait(-1)  # the next leader's clock is behind
    new.open(lease)

    assert codes(judge(sorted([*old.lines, *new.lines], key=_time))) == []


def test_one_node_has_one_clock(log: Log) -> None:
    lease = log.lease()
    log.open(lease)
    log.wait(0.5)
    log.read(lease)
    log.look(lease)

    assert codes(judge(log.lines)) == ["DECRYPT_BEFORE_READ"]


def test_what_may_have_been_logged_before_the_beginning_is_no_finding() -> None:
    log = Log()
    lease = log.lease()
    log.wait(0.5)
    log.open(lease)
    log.wait(60)
    log.open(log.lease())

    assert codes(judge(log.lines)) == ["DECRYPT_NOT_READ"]


def test_what_is_kept_does_not_grow_with_the_log(log: Log) -> None:
    verifier = Verifier(VerifyOptions())
    sizes = []
    for _ in range(4):
        for _ in range(100):
            log.lease_and_open()
            log.wait(1)
        for number, (name, line) in enumerate(log.lines):
            entry = parse_vault_line(line, Place(name, number))
            assert entry is not None
            assert verifier.see_vault(entry) == []
        log.lines.clear()
        sizes.append(len(json.dumps(verifier.state())))

    assert max(sizes) < 1.1 * min(sizes)


def _time(line: tuple[str, bytes]) -> str:
    return str(json.loads(line[1])["time"])


def test_a_huge_lease_is_found_and_not_kept_whole() -> None:
    log = Log()
    log.begin()
    log.operation(GATEWAY, "update", DECRYPT, lease="f" * 500_000, app=APP, key=KEY)

    findings = judge(log.lines)

    assert "LEASE_MALFORMED" in codes(findings)
    assert {len(finding.facts["lease"]) for finding in findings} == {4096}
