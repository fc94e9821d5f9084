from __future__ import annotations

from typing import Any

import click
import pytest
from click.testing import CliRunner

from keyturn_cli.limit_options import LIMITS, TypedLimits, limit_options
from keyvault_svc.domain.limits import LimitKind, Limits
from svc_runtime.service_error import InvalidFieldError

USD = ("usd_per_day", "usd_per_month")


def _typed(*arguments: str) -> TypedLimits | None:
    """Return what the command gets of *arguments*; None where they are refused."""
    got: list[TypedLimits] = []

    @click.command()
    @limit_options
    def command(*, limits: TypedLimits) -> None:
        got.append(limits)

    result = CliRunner().invoke(command, arguments)
    assert result.exit_code in {0, 2}, result.output
    return got[0] if got else None


def _is_taken_by_the_service(kind: str, limit: str) -> bool:
    given: dict[str, Any] = {kind: limit} if kind in USD else {}
    try:
        Limits.parse("limits", {} if kind in USD else {kind: int(limit)}, **given)
    except InvalidFieldError:
        return False
    return True


def test_there_is_an_option_for_each_limit() -> None:
    assert set(LIMITS) == {kind.value for kind in LimitKind}


@pytest.mark.parametrize("kind", LIMITS)
def test_what_the_service_refuses_is_not_sent(kind: str) -> None:
    counts = [str(10**power + more) for power in (0, 6, 9, 10, 12) for more in (-1, 0, 1)]
    amounts = ["0.000001", "0.0000001", "000.5", "1000000000.000001", "1e3", ".5", "5.", "-1"]
    amounts += ["+1", "NaN", "Infinity", "12,5", "\u0661", "5 "]

    for limit in counts + amounts if kind in USD else counts:
        typed = _typed(f"--{kind.replace('_', '-')}={limit}")

        assert (typed is not None) == _is_taken_by_the_service(kind, limit), limit


def test_no_limits_is_not_a_limit_of_no_text() -> None:
    assert _typed("--usd-per-day=") is None
    assert _typed("--no-limits") == TypedLimits({}, are_removed=True)


def test_only_what_was_typed_changes() -> None:
    typed = _typed("--tokens-per-day=9", "--usd-per-month=12.50")

    assert typed is not None
    assert sorted(typed.changed) == ["limits.tokens_per_day", "limits.usd_per_month"]
    assert (typed.message.tokens_per_day, typed.message.usd_per_month) == (9, "12.50")
