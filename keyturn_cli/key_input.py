"""How an API key gets in: a hidden prompt or standard input, and never an argument."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from typing import Final

import click

from keyturn_cli.command_error import CommandError
from keyturn_cli.exit_codes import ExitCode
from svc_runtime.secret_bytes import SecretBytes

# The key service takes at most 403 bytes. More than this is a wrong file, not a key with a typo.
_MAX_INPUT_BYTES: Final = 4096
# An argument that begins like a key, also as the value of an option; or holds one within a text.
# Text about keys ("what is sk-...?") passes: a real key has 20 characters and more after `sk-`.
_WHOLE_KEY: Final = re.compile(r"(?:--?[\w-]+=)?sk-\S+")
_KEY_WITHIN: Final = re.compile(r"(?<![A-Za-z0-9])sk-[A-Za-z0-9_-]{16,}")


def refuse_keys_in(arguments: Iterable[str]) -> None:
    """Refuse a command line that holds what looks like a key.

    Raises:
        CommandError: It does. The text does not repeat the argument.
    """
    if any(_WHOLE_KEY.fullmatch(a) or _KEY_WITHIN.search(a) for a in arguments):
        raise CommandError(
            "An argument looks like an OpenAI API key. Nothing was done with it, but it is in the "
            "shell's history now and was visible in the list of processes.",
            ExitCode.USAGE,
            hint="Revoke that key at OpenAI, make a new one, and give it at the prompt or on "
            "standard input (--stdin).",
        )


def read_api_key(*, from_stdin: bool) -> SecretBytes:
    """Read an API key: from standard input if asked to or if that is no terminal, else a prompt.

    One line ending at the end is dropped; nothing else is changed.

    Raises:
        CommandError: There is nothing to read, or far too much.
    """
    if from_stdin or not sys.stdin.isatty():
        return _secret_from_stdin("API key")
    return _secret_from_prompt("OpenAI API key (nothing is shown while you type or paste)")


def read_password(user: str, *, from_stdin: bool) -> SecretBytes:
    """Read the password of *user* from standard input if asked to, else from a hidden prompt.

    Raises:
        CommandError: There is nothing to read, or no terminal to ask at.
    """
    if from_stdin:
        return _secret_from_stdin("password")
    if not sys.stdin.isatty():
        raise CommandError(
            "There is no terminal to ask for the password at.",
            ExitCode.USAGE,
            hint="Give --password-stdin and write the password to standard input.",
        )
    return _secret_from_prompt(f"Password of {user} (nothing is shown while you type)")


def _secret_from_stdin(what: str) -> SecretBytes:
    raw = sys.stdin.buffer.read(_MAX_INPUT_BYTES + 1)
    if len(raw) > _MAX_INPUT_BYTES:
        raise CommandError(
            f"Standard input holds more than {_MAX_INPUT_BYTES} bytes: that is no {what}.",
            ExitCode.USAGE,
        )
    if raw.endswith(b"\n"):
        raw = raw[:-1].removesuffix(b"\r")
    return _non_empty(raw, what)


def _secret_from_prompt(text: str) -> SecretBytes:
    typed: str = click.prompt(text, hide_input=True, default="", show_default=False, err=True)
    return _non_empty(typed.encode(), "input")


def _non_empty(raw: bytes, what: str) -> SecretBytes:
    if not raw:
        raise CommandError(f"The {what} is empty.", ExitCode.USAGE)
    return SecretBytes(raw)
