"""`keyturn chat`: ask a model, as an app."""

from __future__ import annotations

import re
import sys
from typing import Final

import click

from keyturn_cli.chat_api import ChatAPI, chat_api
from keyturn_cli.client_settings import ClientSettings
from keyturn_cli.command_error import CommandError
from keyturn_cli.commands.command_line import examples, run, timeout_option
from keyturn_cli.exit_codes import ExitCode
from keyturn_cli.owner_token import find_owner_token
from keyturn_cli.printing import print_fields, prose
from keyturn_cli.resource_names import full_name
from keyturn_cli.service_channels import CallOptions, new_request_id

_CHAT_TIMEOUT_SECONDS: Final = 120.0
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{8,64}")  # the services' own rule


@click.command(
    "chat",
    epilog=examples(
        "keyturn chat 'Who are you?'",
        "keyturn chat Hi --key openai --model gpt-4o --no-stream --receipt",
    ),
)
@click.argument("message")
@click.option("--model", default="gpt-4o-mini", show_default=True, help="The model to ask.")
@click.option(
    "--key",
    "key_name",
    metavar="NAME",
    help="The key to use. Without it: KEYTURN_KEY, or else the gateway's default for the app.",
)
@click.option("--request-id", metavar="ID", help="Name the request, for `keyturn audit trail`.")
@click.option("--no-stream", "is_whole", is_flag=True, help="Print the answer when it is complete.")
@click.option(
    "--receipt", "wants_receipt", is_flag=True, help="Tell on standard error whose key served it."
)
@timeout_option(_CHAT_TIMEOUT_SECONDS)
def chat_command(
    message: str,
    *,
    model: str,
    key_name: str | None,
    request_id: str | None,
    is_whole: bool,
    wants_receipt: bool,
    timeout_seconds: float,
) -> None:
    """Ask MESSAGE of a model through the gateway, with the app's certificate."""
    settings = ClientSettings.load()
    key = _key(settings, key_name)
    options = CallOptions(timeout_seconds, _checked(request_id) or new_request_id())

    async def work() -> None:
        async with chat_api(settings, options, key) as api:
            try:
                await _print_answer(api, model, message, is_whole=is_whole)
            finally:
                if wants_receipt and api.receipt is not None:
                    print_fields(api.receipt.fields(), to_stderr=True)

    run(work())


async def _print_answer(api: ChatAPI, model: str, message: str, *, is_whole: bool) -> None:
    if is_whole:
        _write(await api.whole(model, message) + "\n")
        return
    has_begun = False
    try:
        async for piece in api.pieces(model, message):
            has_begun = has_begun or bool(piece)
            _write(piece)
    finally:
        if has_begun:  # an error after some pieces must not stand on their line
            _write("\n")


def _write(text: str) -> None:
    """Write what a model said; only a pipe gets its control characters."""
    sys.stdout.write(prose(text) if sys.stdout.isatty() else text)
    sys.stdout.flush()


def _key(settings: ClientSettings, typed: str | None) -> str | None:
    name = typed or settings.get("KEYTURN_KEY")
    if name is None or name.startswith(("users/", "teams/")):
        return name
    token = find_owner_token(settings)
    return full_name(name, token.unverified_name if token else None)


def _checked(request_id: str | None) -> str | None:
    if request_id is not None and not _REQUEST_ID.fullmatch(request_id):
        raise CommandError(
            "--request-id: must be 8 to 64 letters, digits, '.', '_' or '-'", ExitCode.USAGE
        )
    return request_id
