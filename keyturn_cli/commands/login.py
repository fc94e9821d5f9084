"""`keyturn login`: become an owner."""

from __future__ import annotations

import getpass

import click

from keyturn_cli.client_settings import ClientSettings
from keyturn_cli.commands.command_line import examples, json_option, run, timeout_option
from keyturn_cli.key_input import read_password
from keyturn_cli.owner_token import TOKEN_VARIABLE, OwnerToken, store_owner_token
from keyturn_cli.people_login import UserpassLogin, check_user
from keyturn_cli.printing import one_line, print_json
from keyturn_cli.vault_http import vault_http


@click.command(
    "login",
    epilog=examples(
        "keyturn login --user alice",
        "pass show keyturn | keyturn login --user alice --password-stdin",
    ),
)
@click.option("--user", help="User name. Without it you are asked.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@json_option
@timeout_option()
def login_command(
    user: str | None, *, password_stdin: bool, as_json: bool, timeout_seconds: float
) -> None:
    """Log in by user name and password, and keep an ID token for the other commands."""
    settings = ClientSettings.load()
    settings.require("VAULT_ADDR")
    if user is None:
        user = _default_user() if password_stdin else _ask_user()
    check_user(user)
    password = read_password(user, from_stdin=password_stdin)

    async def work(person: str) -> OwnerToken:
        async with vault_http(settings, timeout_seconds) as vault:
            return await UserpassLogin(vault, person, password).obtain_token()

    token = run(work(user))
    store_owner_token(token, settings.owner_token_file)
    _report(token, settings, user, as_json=as_json)


def _report(token: OwnerToken, settings: ClientSettings, user: str, *, as_json: bool) -> None:
    until = token.unverified_expire_time
    if as_json:
        print_json(
            {
                "user": token.unverified_name or user,
                "expire_time": until.isoformat().replace("+00:00", "Z") if until else None,
                "token_file": str(settings.owner_token_file),
            }
        )
    else:
        validity = f", valid until {until:%Y-%m-%d %H:%M} UTC" if until else ""
        name = one_line(token.unverified_name or user)
        click.echo(f"Logged in as {name}{validity}.", err=True)
        click.echo(f"The login is kept in {settings.owner_token_file}.", err=True)
    if settings.environment.get(TOKEN_VARIABLE):
        click.echo(
            f"warning: {TOKEN_VARIABLE} is set in the environment and is used instead.", err=True
        )


def _ask_user() -> str:
    typed: str = click.prompt("User name", default=_default_user(), err=True)
    return typed.strip()


def _default_user() -> str:
    return getpass.getuser()
