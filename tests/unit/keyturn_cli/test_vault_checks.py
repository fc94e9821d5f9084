from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from keyturn_cli.check_result import CheckState
from keyturn_cli.vault_checks import judge_clock

VAULT_DATE = "Fri, 20 Nov 2026 12:00:00 GMT"
VAULT_TIME = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("skew_seconds", "state"),
    [
        (0, CheckState.OK),
        (10, CheckState.OK),
        (-10, CheckState.OK),
        (12, CheckState.PROBLEM),
        (-12, CheckState.PROBLEM),
    ],
)
def test_clocks_may_differ_by_ten_seconds(skew_seconds: int, state: CheckState) -> None:
    begin = VAULT_TIME + timedelta(seconds=skew_seconds)

    assert judge_clock(VAULT_DATE, begin, begin + timedelta(milliseconds=5)).state == state


def test_a_slow_answer_is_no_skew() -> None:
    begin = VAULT_TIME - timedelta(seconds=30)

    assert judge_clock(VAULT_DATE, begin, begin + timedelta(seconds=60)).state == CheckState.OK


def test_without_a_date_nothing_can_be_said() -> None:
    assert judge_clock("", VAULT_TIME, VAULT_TIME).state == CheckState.SKIPPED
