"""The rules: from figures to findings, in words. Pure functions, one for each kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from keyvault_svc.domain.anomalies.policy import AnomalyKind, AnomalyPolicy, Figure
from keyvault_svc.domain.anomalies.profile import Profile
from keyvault_svc.domain.anomalies.tally import Tally
from keyvault_svc.domain.anomalies.times import HOURS_OF_DAY, clock_of, date_of, day_of

_MAX_USUAL_HOURS: Final = 16  # a grant that is used in more is used around the clock
# In a usual hour, on average. From more than one on, steady use falls into each of its hours daily.
_REGULAR_REQUESTS: Final = 2
_ROAMING_DAYS: Final = 5  # a grant with new networks on so many days of the window has many
_TOLD_MODELS: Final = 2
_MAX_MODEL_TOLD: Final = 26  # characters of a model's name


@dataclass(frozen=True, slots=True)
class Finding:
    """Something unusual.

    Attributes:
        what: What was seen, what is normal, and since when; at most 176 characters, so that a few
            words more fit into an event.
    """

    kind: AnomalyKind
    what: str


@dataclass(frozen=True, slots=True)
class Sight:
    """What a rule looks at.

    Attributes:
        before: The baseline before the tally was added.
        after: The same with it, and with what other replicas added.
        tally: What was just seen.
    """

    before: Profile
    after: Profile
    tally: Tally
    policy: AnomalyPolicy


def findings(sight: Sight) -> list[Finding]:
    """Return what is unusual, in the order of `AnomalyKind`."""
    is_learned = sight.before.is_learned(sight.policy)
    told = (
        (kind, rule(sight))
        for kind, rule in RULES.items()
        if is_learned or kind in _NEEDS_NO_BASELINE
    )
    return [Finding(kind, what) for kind, what in told if what]


def _rate_spike(sight: Sight) -> str:
    return _spike(sight, Figure.REQUESTS, "requests")


def _token_spike(sight: Sight) -> str:
    return _spike(sight, Figure.TOKENS, "tokens")


def _error_spike(sight: Sight) -> str:
    requests = sight.after.count(Figure.REQUESTS)
    if sight.after.count(Figure.ERRORS) * 100 < requests * sight.policy.error_percent:
        return ""
    return _spike(sight, Figure.ERRORS, f"of {requests:,} requests refused by OpenAI")


def _many_refusals(sight: Sight) -> str:
    return _spike(sight, Figure.REFUSALS, "refused requests")


def _spike(sight: Sight, figure: Figure, noun: str) -> str:
    """Tell of an hour that has far more of *figure* than hours of this grant usually have.

    A tally without any of it tells nothing: the hour was looked at when it came to its figure.
    """
    count, usual = sight.after.count(figure), sight.before.usual(figure)
    least = max(sight.policy.floors[figure], usual * sight.policy.spike_factor, 1)
    if count < least or not sight.tally.figures[figure]:
        return ""
    since = date_of(sight.before.first_day)
    hour = clock_of(sight.after.hour)
    return f"{count:,} {noun} since {hour}; normal since {since} is at most {usual:,} an hour"


def _unusual_hour(sight: Sight) -> str:
    """Tell of use more than an hour away from all hours with use.

    Nothing is told of a grant that is used now and then: which hours it falls into is chance.
    """
    hours, uses = sight.before.hours_of_day(), sight.before.uses()
    now = sight.after.hour % HOURS_OF_DAY
    near = {(now + step) % HOURS_OF_DAY for step in (-1, 0, 1)}
    is_regular = sum(uses.values()) >= _REGULAR_REQUESTS * len(uses) * len(hours)
    is_all_day = len(hours) > _MAX_USUAL_HOURS
    if not (sight.tally.has_use and hours and is_regular) or is_all_day or near & hours:
        return ""
    count, since = sight.after.count(Figure.REQUESTS), date_of(sight.before.first_day)
    return (
        f"{_counted(count, 'request')} since {clock_of(sight.after.hour)}; normal since {since} is "
        f"use in the hours {_ranges(hours)} UTC"
    )


def _new_model(sight: Sight) -> str:
    known = sight.before.models()
    new = sorted(sight.tally.models - set(known))
    if not known or not new:
        return ""
    since = date_of(sight.before.first_day)
    return f"first use of {_listed(new)}; normal since {since} is {_listed(known)}"


def _new_network(sight: Sight) -> str:
    """Tell of a network that is new, unless that is what this grant's networks often are."""
    if not sight.tally.networks or sight.before.new_network_days() >= _ROAMING_DAYS:
        return ""
    network = min(sight.tally.networks)
    return f"first use from {network}, since {clock_of(sight.after.hour)}; normal are others"


def _dormant_woken(sight: Sight) -> str:
    last = sight.before.last_use_hour
    if last is None or not sight.tally.has_use:
        return ""
    days = sight.after.day - day_of(last)
    if days < sight.policy.dormant_days:
        return ""
    return (
        f"used since {clock_of(sight.after.hour)}, after {days} days without use; it was used last "
        f"on {date_of(day_of(last))}"
    )


def _used_after_rejection(sight: Sight) -> str:
    """Tell of an app that has not heard of the end; of one that never listens, not every day."""
    count, usual = sight.after.count(Figure.LATE), sight.before.usual(Figure.LATE)
    least = max(sight.policy.floors[Figure.LATE], usual * sight.policy.spike_factor, 1)
    if count < least or not sight.tally.figures[Figure.LATE]:
        return ""
    hour, cause = clock_of(sight.after.hour), _LATE_CAUSES[sight.tally.late_cause]
    normal = f"at most {usual:,} an hour" if usual else "none"
    return f"{_counted(count, 'request')} since {hour} though {cause}; normal are {normal}"


_LATE_CAUSES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "rejected": "OpenAI rejected the key",
        "disabled": "the key is disabled",
        "revoked": "the grant is revoked",
    }
)

RULES: Final[Mapping[AnomalyKind, Callable[[Sight], str]]] = MappingProxyType(
    {
        AnomalyKind.RATE_SPIKE: _rate_spike,
        AnomalyKind.TOKEN_SPIKE: _token_spike,
        AnomalyKind.UNUSUAL_HOUR: _unusual_hour,
        AnomalyKind.NEW_MODEL: _new_model,
        AnomalyKind.NEW_NETWORK: _new_network,
        AnomalyKind.ERROR_SPIKE: _error_spike,
        AnomalyKind.DORMANT_WOKEN: _dormant_woken,
        AnomalyKind.USED_AFTER_REJECTION: _used_after_rejection,
        AnomalyKind.MANY_REFUSALS: _many_refusals,
    }
)
_NEEDS_NO_BASELINE: Final = frozenset({AnomalyKind.DORMANT_WOKEN, AnomalyKind.USED_AFTER_REJECTION})


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _listed(names: list[str]) -> str:
    """Return the first of *names*, and how many more there are, as one line.

    An app may have chosen a name so that the reason of a suspension would be refused.
    """
    told = [
        "".join(letter for letter in name[:_MAX_MODEL_TOLD] if letter.isprintable())
        for name in names[:_TOLD_MODELS]
    ]
    more = len(names) - len(told)
    return ", ".join(told) + (f" and {more} more" if more else "")


def _ranges(hours: frozenset[int]) -> str:
    """Return *hours* as ranges, such as `08-17, 20`."""
    starts = sorted(hour for hour in hours if hour - 1 not in hours)
    ends = sorted(hour for hour in hours if hour + 1 not in hours)
    pairs = zip(starts, ends, strict=True)
    return ", ".join(f"{a:02}" if a == b else f"{a:02}-{b:02}" for a, b in pairs)
