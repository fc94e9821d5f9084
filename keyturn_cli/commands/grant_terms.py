"""The options by which people say what a grant allows."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast

import click
from google.protobuf.field_mask_pb2 import FieldMask

from keyturn.keyvault.v1 import grant_pb2 as grant_pb
from keyturn_cli.commands.command_line import OwnerSession
from keyturn_cli.limit_options import LIMITS, TypedLimits, single_limit_options

_Command = TypeVar("_Command", bound=Callable[..., Any])
_Option = Callable[[Any], Any]

_LISTS: Final = {
    "model": "A model, a prefix such as 'gpt-4o*', or '*' for every one. Repeatable.",
    "endpoint": "A path after /v1/, such as chat/completions, or '*' for every one. Repeatable.",
    "source_cidr": "A network that the app may call from. Repeatable.",
}
_FLAGS: Final = {
    "may_choose_account": "Let the app name OpenAI's organisation and project by header.",
    "needs_owner_presence": "Ask the owner's own token of each request.",
    "needs_app_proof": "Ask the app's own token of each request, and believe no gateway alone.",
}
_REMOVABLE: Final = {
    "expires": "expire_time",
    "source-cidr": "source_cidrs",
    **{name.replace("_", "-"): f"limits.{name}" for name in LIMITS},
}
_WITHOUT: Final = {
    "source_cidr": " Without any, from anywhere.",
    "expires": " Without it: when it is revoked.",
}
_EXPIRES: Final = "When the grant ends: 30d, 12h, or a time such as 2027-01-01T00:00:00Z."


@dataclass(frozen=True, slots=True)
class TypedTerms:
    """What was typed of a grant's terms.

    Attributes:
        values: What each option was given; None or nothing where it was not.
    """

    values: dict[str, Any]

    def grant(self, session: OwnerSession, app: str = "") -> grant_pb.Grant:
        """Return the terms as a message."""
        grant = grant_pb.Grant(
            app=app,
            models=self.values["model"],
            endpoints=self.values["endpoint"],
            source_cidrs=self.values["source_cidr"],
        )
        for name in _FLAGS:
            setattr(grant, name, bool(self.values[name]))
        grant.limits.MergeFrom(self._limits.message)
        expire_time = session.expiry(self.values["expires"])
        if expire_time is not None:
            grant.expire_time.FromDatetime(expire_time)
        return grant

    def applied_to(self, grant: grant_pb.Grant, session: OwnerSession) -> grant_pb.Grant:
        """Return *grant* with what was typed in place of its own."""
        typed, changed = self.grant(session), grant_pb.Grant()
        changed.CopyFrom(grant)
        paths = FieldMask(paths=self.changed)
        paths.MergeMessage(typed, changed, replace_message_field=True, replace_repeated_field=True)
        return changed

    @property
    def changed(self) -> list[str]:
        """The paths of the terms that were typed, for the mask of an update."""
        values = self.values
        paths = [f"{name}s" for name in _LISTS if values[name]]
        paths += [name for name in _FLAGS if values[name] is not None]
        paths += self._limits.changed
        paths += ["expire_time"] if values["expires"] is not None else []
        removed = [_REMOVABLE[name] for name in values.get("removed", ())]
        if both := set(paths).intersection(removed):
            raise click.UsageError(f"--remove takes away what is set: {', '.join(sorted(both))}")
        return paths + removed

    @property
    def _limits(self) -> TypedLimits:
        return TypedLimits({n: v for n in LIMITS if (v := self.values[n]) is not None})


def term_options(*, are_required: bool) -> Callable[[_Command], _Command]:
    """Return the options of a grant's terms, which a command gets as its `terms`.

    Args:
        are_required: Whether models and endpoints must be named.
    """

    def decorate(command: _Command) -> _Command:
        options = _options(are_required=are_required)

        @functools.wraps(command)
        def collecting(*arguments: Any, **typed: Any) -> Any:  # noqa: ANN401 - as click calls it
            values = {name: typed.pop(name) for name in options}
            return command(*arguments, terms=TypedTerms(values), **typed)

        decorated: Any = collecting
        for option in reversed(options.values()):
            decorated = option(decorated)
        return cast("_Command", decorated)

    return decorate


def _options(*, are_required: bool) -> dict[str, _Option]:
    """Return the options by their names, as the help shows them."""
    options = {
        name: click.option(
            _flag(name),
            name,
            multiple=True,
            required=are_required and name != "source_cidr",
            help=text + (_WITHOUT.get(name, "") if are_required else ""),
        )
        for name, text in _LISTS.items()
    }
    options["expires"] = click.option(
        "--expires", metavar="WHEN", help=_EXPIRES + (_WITHOUT["expires"] if are_required else "")
    )
    options |= single_limit_options()
    for name, text in _FLAGS.items():
        switch = _flag(name) if are_required else f"{_flag(name)}/--no-{_flag(name)[2:]}"
        options[name] = click.option(switch, name, is_flag=True, default=None, help=text)
    if not are_required:
        options["removed"] = click.option(
            "--remove",
            "removed",
            multiple=True,
            type=click.Choice(sorted(_REMOVABLE)),
            metavar="TERM",
            help=f"Take a term away: {', '.join(sorted(_REMOVABLE))}. Repeatable.",
        )
    return options


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
