from __future__ import annotations

from datetime import timedelta

import pytest

from keyvault_svc.command_line import make_parser

REMIND = ("remind", "--config", "keyvault_svc.toml")


@pytest.mark.parametrize(
    ("options", "within"),
    [
        ((), timedelta(days=14)),
        (("--within", "1d"), timedelta(days=1)),
        (("--within", "36h"), timedelta(hours=36)),
        (("--within", "9999d"), timedelta(days=9999)),
    ],
    ids=["by default", "a day", "hours", "the longest"],
)
def test_remind_knows_how_long_before_its_date_something_is_told(
    options: tuple[str, ...], within: timedelta
) -> None:
    assert make_parser().parse_args([*REMIND, *options]).within == within


@pytest.mark.parametrize("within", ["", "14", "0d", "-1d", "1w", "1.5d", "10000d", "14d "])
def test_a_time_that_is_no_number_of_days_or_hours_is_refused(
    within: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        make_parser().parse_args([*REMIND, f"--within={within}"])

    assert caught.value.code == 2
    assert "must be days or hours, such as 14d or 36h" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["remind", "rewrap"])
@pytest.mark.parametrize(("typed", "rate"), [(None, 100.0), ("0.5", 0.5), ("100000", 100_000.0)])
def test_jobs_have_a_pace(command: str, typed: str | None, rate: float) -> None:
    options = [] if typed is None else ["--rate", typed]

    assert make_parser().parse_args([command, "--config", "x.toml", *options]).rate == rate


@pytest.mark.parametrize("rate", ["0", "-1", "nan", "inf", "100001", "fast"])
def test_a_pace_that_is_none_is_refused(rate: str) -> None:
    with pytest.raises(SystemExit):
        make_parser().parse_args([*REMIND, "--rate", rate])


def test_health_is_asked_without_settings() -> None:
    arguments = make_parser().parse_args(["check-health", "a:1", "b:2/keyturn.test.v1.Service"])

    assert [str(q) for q in arguments.questions] == ["a:1", "b:2/keyturn.test.v1.Service"]
    assert arguments.wait == 30


def test_a_question_of_health_without_port_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        make_parser().parse_args(["check-health", "localhost"])

    assert caught.value.code == 2
    assert "must be HOST:PORT or HOST:PORT/SERVICE" in capsys.readouterr().err
