"""Short names that people type, made whole. The key service judges whether a name is allowed."""

from __future__ import annotations

from typing import Final

from keyturn_cli.command_error import CommandError
from keyturn_cli.exit_codes import ExitCode

_OWNER_KINDS: Final = ("users/", "teams/")


def full_name(typed: str, person: str | None) -> str:
    """Return the whole name of a key or grant: `openai` means `users/{person}/keys/openai`.

    Args:
        typed: `openai`, `openai/grants/{grant}` or a whole name.
        person: Who is logged in, if anybody.

    Raises:
        CommandError: The name is short and nobody is logged in.
    """
    if typed.startswith(_OWNER_KINDS):
        return typed
    return f"{owner_of(person, typed)}/keys/{typed}"


def owner_name(typed: str | None, person: str | None) -> str:
    """Return the whole name of an owner: nothing means the *person*, `bob` means `users/bob`."""
    if typed is None:
        return owner_of(person, "")
    return typed if "/" in typed else f"users/{typed}"


def owner_of(person: str | None, typed: str) -> str:
    """Return the owner that *person* is.

    Raises:
        CommandError: Nobody is logged in, or the login does not name a person.
    """
    if person:
        return f"users/{person}"
    example = f"users/<you>/keys/{typed}" if typed else "users/<you>"
    raise CommandError(
        "A short name needs a login that names you, and there is none.",
        ExitCode.USAGE,
        hint=f"Run `keyturn login`, or write the whole name: {example}.",
    )
