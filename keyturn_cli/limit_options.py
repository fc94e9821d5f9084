"""The options by which people say what may be taken at most."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, TypeVar, cast

import click

from keyturn.keyvault.v1 import limits_pb2 as limits_pb

_Command = TypeVar("_Command", bound=Callable[..., Any])
_Option = Callable[[Any], Any]

_COUNTS: Final = {
    "requests_per_minute": ("Requests in a minute.", 10**9),
    "tokens_per_minute": ("Tokens in a minute, of prompts and answers.", 10**12),
    "concurrent_calls": ("Requests under way at the same time.", 10**6),
    "tokens_per_day": ("Tokens in a day, in UTC.", 10**12),
    "tokens_per_month": ("Tokens in a month, in UTC.", 10**12),
}
_AMOUNTS: Final = {
    "usd_per_day": "US dollars in a day, in UTC, such as 12.50.",
    "usd_per_month": "US dollars in a month, in UTC, such as 500.",
}
LIMITS: Final = (*_COUNTS, *_AMOUNTS)
"""The limits that there are, by the names of their fields."""
_USD: Final = re.compile(r"[0-9]{1,10}(?:\.[0-9]{1,6})?")
_MAX_USD: Final = 10**9


class _Usd(click.ParamType[str]):
    """An amount in USD, as the service takes it."""

    name = "usd"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return *value* as it was typed."""
        if not _USD.fullmatch(value) or not 0 < Decimal(value) <= _MAX_USD:
            self.fail(
                "must be a number above 0 and up to 1,000,000,000, of at most 6 decimal places.",
                param,
                ctx,
            )
        return value


@dataclass(frozen=True, slots=True)
class TypedLimits:
    """What was typed of limits.

    Attributes:
        values: The limits that were given.
        are_removed: Whether there shall be none, or none but these.
    """

    values: dict[str, int | str]
    are_removed: bool = False

    @property
    def message(self) -> limits_pb.Limits:
        """The limits that were given."""
        message = limits_pb.Limits()
        for name, limit in self.values.items():
            setattr(message, name, limit)
        return message

    @property
    def changed(self) -> list[str]:
        """The paths of what changes, for the mask of an update."""
        return ["limits"] if self.are_removed else [f"limits.{name}" for name in self.values]


def single_limit_options() -> dict[str, _Option]:
    """Return an option for each limit, by its name, as the help shows them."""
    counts = {
        name: click.option(_flag(name), name, type=click.IntRange(1, most), metavar="N", help=text)
        for name, (text, most) in _COUNTS.items()
    }
    amounts = {
        name: click.option(_flag(name), name, type=_Usd(), metavar="USD", help=text)
        for name, text in _AMOUNTS.items()
    }
    return counts | amounts


def limit_options(command: _Command) -> _Command:
    """Add the options of limits, and `--no-limits`; *command* gets them as its `limits`."""

    @functools.wraps(command)
    def collecting(*arguments: Any, **typed: Any) -> Any:  # noqa: ANN401 - as click calls it
        given = {name: limit for name in LIMITS if (limit := typed.pop(name)) is not None}
        limits = TypedLimits(given, typed.pop("are_removed"))
        return command(*arguments, limits=limits, **typed)

    decorated: Any = click.option(
        "--no-limits",
        "are_removed",
        is_flag=True,
        help="Take all limits away but those that are given.",
    )(collecting)
    for option in reversed(single_limit_options().values()):
        decorated = option(decorated)
    return cast("_Command", decorated)


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
