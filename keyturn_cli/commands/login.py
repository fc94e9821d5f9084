"""`keyturn login` and `keyturn logout`: say who you are, and have that forgotten."""

from __future__ import annotations

import getpass
from dataclasses import replace

import click

from keyturn_cli.client_settings import ClientSettings
from keyturn_cli.command_error import CommandError
from keyturn_cli.commands.command_line import examples, json_option, run, timeout_option
from keyturn_cli.exit_codes import ExitCode
from keyturn_cli.key_input import read_password
from keyturn_cli.oidc_again import ask_code, log_in_with_password
from keyturn_cli.oidc_login import has_display, log_in_at_issuer
from keyturn_cli.oidc_need import LoginNeed
from keyturn_cli.oidc_refresh import end_login
from keyturn_cli.oidc_settings import ISSUER_VARIABLE, OIDCSettings
from keyturn_cli.owner_token import (
    TOKEN_VARIABLE,
    OwnerToken,
    find_owner_token,
    store_owner_token,
)
from keyturn_cli.people_login import check_user
from keyturn_cli.printing import one_line, print_json
from svc_runtime.secret_bytes import SecretBytes

_FRESH = LoginNeed(max_age_seconds=300)  # the consent that may follow a login takes its time


@click.command(
    "login",
    epilog=examples(
        "keyturn login",
        "keyturn login --device",
        "keyturn login --user alice",
        "pass show keyturn | keyturn login --user alice --password-stdin",
    ),
)
@click.option("--browser", "flow", flag_value="browser", help="Log in by this machine's browser.")
@click.option("--device", "flow", flag_value="device", help="Log in by a code on another device.")
@click.option("--no-browser", is_flag=True, help="Open no browser; print the address.")
@click.option(
    "--fresh", is_flag=True, help="Prove yourself anew, with the second factor where there is one."
)
@click.option("--user", help="Log in by password at Vault, under this name.")
@click.option(
    "--password-stdin",
    is_flag=True,
    help="Log in by password at Vault, read from standard input; for --fresh, the code follows on "
    "the second line.",
)
@json_option
@timeout_option()
def login_command(
    flow: str | None,
    user: str | None,
    *,
    no_browser: bool,
    fresh: bool,
    password_stdin: bool,
    as_json: bool,
    timeout_seconds: float,
) -> None:
    """Log in as yourself, and keep an ID token for the other commands.

    Owners, members of teams, developers who ask for grants, auditors and operators log in alike:
    what you may do follows from your name and your groups.

    Where KEYTURN_OIDC_ISSUER is set, you log in there, by browser or by a code on another device.
    Otherwise you log in at Vault by user name and password.
    """
    settings = ClientSettings.load()
    by_password = user is not None or password_stdin or not settings.get(ISSUER_VARIABLE)
    if by_password and (flow or no_browser):
        raise CommandError(
            "--browser, --device and --no-browser are for a login at an OIDC issuer.",
            ExitCode.USAGE,
            hint="Set KEYTURN_OIDC_ISSUER, and give neither --user nor --password-stdin.",
        )
    if by_password:
        token = _by_password(
            settings,
            user,
            from_stdin=password_stdin,
            is_fresh=fresh,
            timeout_seconds=timeout_seconds,
        )
    else:
        oidc = OIDCSettings.load(settings)
        token = run(
            log_in_at_issuer(
                replace(oidc, flow=flow or oidc.flow),
                _FRESH if fresh else LoginNeed(),
                timeout_seconds=timeout_seconds,
                may_open_browser=not no_browser and has_display(settings.environment),
            )
        )
    store_owner_token(token, settings)
    _report(token, settings, as_json=as_json)


@click.command("logout", epilog=examples("keyturn logout"))
def logout_command() -> None:
    """Forget the login, and have its issuer end what would renew it."""
    settings = ClientSettings.load()
    was_there = run(end_login(settings))
    click.echo("Logged out." if was_there else "There was no login to forget.", err=True)
    left = find_owner_token(settings)
    if left is not None:
        click.echo(f"warning: there is still a token in {one_line(left.source)}.", err=True)


def _by_password(
    settings: ClientSettings,
    user: str | None,
    *,
    from_stdin: bool,
    is_fresh: bool,
    timeout_seconds: float,
) -> OwnerToken:
    settings.require("VAULT_ADDR")
    if user is None:
        user = _default_user() if from_stdin else _ask_user()
    check_user(user)
    password = read_password(user, from_stdin=from_stdin)
    code: SecretBytes | None = None
    if from_stdin and is_fresh:
        password, code = _two_lines(password)

    def code_or_ask() -> SecretBytes:
        return code or ask_code()

    return run(
        log_in_with_password(
            settings,
            user,
            password,
            timeout_seconds=timeout_seconds,
            ask_code=code_or_ask if is_fresh else None,
        )
    )


def _two_lines(secret: SecretBytes) -> tuple[SecretBytes, SecretBytes]:
    lines = secret.lines()
    if len(lines) != 2:  # noqa: PLR2004 - the password, and the code
        raise CommandError(
            "Standard input must hold the password, and the code on the second line.",
            ExitCode.USAGE,
        )
    return lines[0], lines[1]


def _report(token: OwnerToken, settings: ClientSettings, *, as_json: bool) -> None:
    until = token.unverified_expire_time
    if as_json:
        print_json(
            {
                "user": token.unverified_name,
                "expire_time": until.isoformat().replace("+00:00", "Z") if until else None,
                "token_file": str(settings.owner_token_file),
                "is_renewed": token.refresh is not None,
            }
        )
    else:
        validity = f", valid until {until:%Y-%m-%d %H:%M} UTC" if until else ""
        renewal = "; it is renewed by itself" if token.refresh else ""
        name = one_line(token.unverified_name or "a person whose token tells no name")
        click.echo(f"Logged in as {name}{validity}{renewal}.", err=True)
        # The local stack's folder may not be there at all; that needs no word.
        reason = settings.why_not_beside if settings.env_file.is_file() else ""
        why = f", because {reason}" if reason else ""
        click.echo(f"The login is kept in {settings.owner_token_file}{why}.", err=True)
    if settings.environment.get(TOKEN_VARIABLE):
        click.echo(
            f"warning: {TOKEN_VARIABLE} is set in the environment and is used instead.", err=True
        )


def _ask_user() -> str:
    typed: str = click.prompt("User name", default=_default_user(), err=True)
    return typed.strip()


def _default_user() -> str:
    return getpass.getuser()
