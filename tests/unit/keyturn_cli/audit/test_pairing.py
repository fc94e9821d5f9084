"""Requests and answers belong together; what is missing between them is found."""

from __future__ import annotations

import pytest

from tests.unit.keyturn_cli.audit.vault_lines import OTHER, Log, codes, judge

_PATH = "secret/data/x"


@pytest.fixture
def log() -> Log:
    """A log with nothing before it."""
    log = Log()
    log.begin()
    return log


def _go_on(log: Log, seconds: float) -> None:
    for _ in range(int(seconds)):
        log.wait(1)
        log.operation(OTHER, "read", _PATH)


def test_a_request_without_an_answer_is_found(log: Log) -> None:
    log.operation(OTHER, "read", _PATH, is_answered=False)
    _go_on(log, 5)

    assert codes(judge(log.lines)) == ["REQUEST_WITHOUT_ANSWER"]


def test_a_request_that_the_log_ends_with_is_no_finding(log: Log) -> None:
    _go_on(log, 5)
    log.operation(OTHER, "read", _PATH, is_answered=False)

    assert judge(log.lines) == []


def test_what_was_under_way_when_vault_fell_silent_is_a_notice(log: Log) -> None:
    log.operation(OTHER, "read", _PATH, is_answered=False)
    log.wait(30)
    _go_on(log, 200)

    assert codes(judge(log.lines)) == ["REQUEST_CUT_OFF"]


def test_an_answer_that_takes_long_is_no_finding(log: Log) -> None:
    log.operation(OTHER, "read", _PATH)
    answer = log.lines.pop()
    log.wait(-1)
    _go_on(log, 60)
    late = answer[1].replace(b"12:00:00", b"12:01:00")
    log.lines.append((answer[0], late))

    assert judge(log.lines) == []


@pytest.mark.parametrize(
    ("asked", "told", "part"),
    [
        (b'"path": "secret/data/x"', b'"path": "secret/data/y"', "path"),
        (b'"operation": "read"', b'"operation": "list"', "operation"),
        (b'"payroll"', b'"wages"', "policies"),
        (b'"auth"', b'"author"', "policies"),
        (b"10.0.0.7", b"10.0.0.8", "address"),
    ],
)
def test_an_answer_that_says_otherwise_than_its_request_is_found(
    log: Log, asked: bytes, told: bytes, part: str
) -> None:
    log.operation(OTHER, "read", _PATH)
    name, answer = log.lines.pop()
    assert asked in answer
    log.lines.append((name, answer.replace(asked, told)))

    [finding] = judge(log.lines)

    assert finding.code == "ANSWER_DIFFERS"
    assert f"one {part}," in finding.sentence


def test_two_requests_of_one_id_are_found(log: Log) -> None:
    log.operation(OTHER, "read", _PATH, is_answered=False)
    log.lines.append(log.lines[-1])

    assert codes(judge(log.lines)) == ["REQUEST_WITHOUT_ANSWER"]


def test_an_answer_without_a_request_is_found(log: Log) -> None:
    log.operation(OTHER, "read", _PATH)
    log.lines.pop(-2)

    assert codes(judge(log.lines)) == ["ANSWER_WITHOUT_REQUEST"]


def test_an_answer_that_the_log_begins_with_is_no_finding() -> None:
    log = Log()
    log.operation(OTHER, "read", _PATH)
    log.lines.pop(0)
    log.operation(OTHER, "read", _PATH)

    assert judge(log.lines) == []


def test_a_request_that_vault_logs_with_its_error_has_its_answer_there(log: Log) -> None:
    log.operation(OTHER, "update", "sys/wrapping/unwrap", is_answered=False)
    name, line = log.lines.pop()
    log.lines.append((name, line[:-1] + b', "error": "wrapping token is not valid"}'))
    _go_on(log, 5)

    assert judge(log.lines) == []
