"""What commands of `keyturn audit` are told of the deployment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
import pytest
from click.testing import CliRunner

from keyturn_cli.audit.options import SECOND_US, VerifyOptions
from keyturn_cli.commands.audit.deployment_options import (
    deployment_options,
    names_of,
    naming_options,
    verify_options,
)
from keyturn_cli.commands.audit.key import key_command
from keyturn_cli.commands.audit.report import report_command
from keyturn_cli.commands.audit.verify import verify_command

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
Parse = Callable[[dict[str, Any]], VerifyOptions]


def _told(options: Decorator, parse: Parse, *arguments: str) -> VerifyOptions:
    told: list[VerifyOptions] = []

    @click.command()
    @options
    def command(**given: Any) -> None:  # noqa: ANN401 - the options, each of its type
        told.append(parse(given))

    runner = CliRunner(env={"KEYTURN_CLIENT_ENV": ""})
    runner.invoke(command, arguments, catch_exceptions=False)
    return told[0]


@pytest.mark.parametrize(
    ("options", "parse"), [(deployment_options, verify_options), (naming_options, names_of)]
)
def test_without_an_option_a_deployment_is_as_bootstrap_makes_it(
    options: Decorator, parse: Parse
) -> None:
    assert _told(options, parse) == VerifyOptions()


def test_login_mounts_are_those_that_are_named() -> None:
    mounts = ("--login-mount", "team/approle/", "--login-mount", "jwt")

    assert _told(naming_options, names_of, *mounts).login_mounts == ("team/approle", "jwt")
    assert _told(deployment_options, verify_options, *mounts).login_mounts == (
        "team/approle",
        "jwt",
    )


def test_the_longest_call_can_be_told() -> None:
    told = _told(deployment_options, verify_options, "--max-call", "7200", "--pki-mount", "pki")

    assert told.call_us == 7200 * SECOND_US
    assert told.pki_mount == "pki"


def test_a_report_shows_no_option_of_a_judgement() -> None:
    judging = _names(deployment_options) - _names(naming_options)

    assert "windows" in judging
    assert not judging & {option.name for option in report_command.params}
    for command in (verify_command, key_command):
        assert judging < {option.name for option in command.params}


def _names(options: Decorator) -> set[str | None]:
    @click.command()
    @options
    def command(**_given: Any) -> None:  # noqa: ANN401 - the options, each of its type
        """Do nothing."""

    return {option.name for option in command.params}
