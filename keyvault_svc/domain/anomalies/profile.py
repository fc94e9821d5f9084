"""The baseline of one grant: what is kept of its use, and what that says is normal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from keyvault_svc.domain.anomalies.baseline_store import Change, Operation
from keyvault_svc.domain.anomalies.policy import AnomalyKind, AnomalyPolicy, Figure
from keyvault_svc.domain.anomalies.tally import Tally
from keyvault_svc.domain.anomalies.times import HOURS_OF_DAY, day_of

_MAX_MODELS: Final = 64  # the least recently used are forgotten first
_KEPT_HOURS: Final = 3  # hourly figures; replicas' clocks differ, and settlements come late

# Words are `<sort>:<rest>`; a model's name may hold anything, and is always the rest.
_LAST: Final = "last:use"
_NOW: Final = "now"  # now:<hour>:<figure> -> count in that hour
_PEAK: Final = "peak"  # peak:<day>:<figure> -> the highest count of an hour of that day
_USES: Final = "uses"  # uses:<day>:requests -> count on that day
_MARK: Final = "mark"  # mark:<day>:<mark>:<kind> -> who set it
_NETWORKS: Final = "networks"  # networks:<day>:new -> how many were new on that day
_NEW: Final = "new"
_AT: Final = "at"  # at:<hour of the day> -> the last day with use in it
_MODEL: Final = "model"  # model:<name> -> the last day with use of it


@dataclass(frozen=True, slots=True)
class Profile:
    """The figures of one grant, as they stood at one moment, seen from one hour.

    Attributes:
        figures: As `BaselineStore` keeps them.
        hour: See `times.hour_of`.
        window_days: How many days before the hour's day count.
    """

    figures: Mapping[str, int]
    hour: int
    window_days: int

    @property
    def day(self) -> int:
        """The day of the hour."""
        return day_of(self.hour)

    @property
    def last_use_hour(self) -> int | None:
        """When the grant was used last; None for never."""
        return self.figures.get(_LAST)

    @property
    def first_day(self) -> int:
        """The first day of the window with use; the hour's own day for none."""
        return min(self.uses(), default=self.day)

    def uses(self) -> Mapping[int, int]:
        """Return the requests of each day of the window with use, today not among them."""
        return self._by_day(_USES, Figure.REQUESTS)

    def is_learned(self, policy: AnomalyPolicy) -> bool:
        """Tell whether enough was seen to know what is normal."""
        uses = self.uses()
        is_long_enough = len(uses) >= policy.learn_days
        return is_long_enough and sum(uses.values()) >= policy.learn_requests

    def count(self, figure: Figure) -> int:
        """Return what was counted in the hour so far."""
        return self.figures.get(f"{_NOW}:{self.hour}:{figure}", 0)

    def usual(self, figure: Figure) -> int:
        """Return the most that an hour of the window has, without its busiest day.

        One day's outlier makes nothing normal, a second one does.
        """
        peaks = sorted(self._by_day(_PEAK, figure).values())
        return peaks[-2] if len(peaks) > 1 else 0

    def hours_of_day(self) -> frozenset[int]:
        """Return the hours of the day, 0 to 23, in which the grant is used."""
        days = ((hour, self.figures.get(f"{_AT}:{hour}")) for hour in range(HOURS_OF_DAY))
        return frozenset(hour for hour, day in days if day is not None and self._counts(day))

    def models(self) -> list[str]:
        """Return the models that the grant uses, sorted."""
        return sorted(model for model, _ in self._recent_models())

    def new_network_days(self) -> int:
        """Return on how many days of the window the grant came from new networks."""
        return len(self._by_day(_NETWORKS, _NEW))

    def mark(self, mark: str, kind: AnomalyKind) -> int | None:
        """Return who set *mark* for *kind* today; None for nobody."""
        return self.figures.get(self._mark_word(mark, kind))

    def marking(self, mark: str, kind: AnomalyKind, who: int) -> Change:
        """Return the change by which *who* sets *mark* for *kind* today, unless it is set."""
        return Change(Operation.CLAIM, self._mark_word(mark, kind), who)

    def additions(self, tally: Tally) -> list[Change]:
        """Return what *tally* changes."""
        day, hour = self.day, self.hour
        changes = [
            Change(Operation.ADD, f"{_NOW}:{hour}:{figure}", count)
            for figure, count in sorted(tally.figures.items())
        ]
        if tally.has_use:
            requests = tally.figures[Figure.REQUESTS]
            changes += [
                Change(Operation.RAISE, _LAST, hour),
                Change(Operation.ADD, f"{_USES}:{day}:{Figure.REQUESTS}", requests),
                Change(Operation.RAISE, f"{_AT}:{hour % HOURS_OF_DAY}", day),
            ]
        changes += [
            Change(Operation.RAISE, f"{_MODEL}:{model}", day) for model in sorted(tally.models)
        ]
        if tally.networks:
            changes.append(Change(Operation.ADD, f"{_NETWORKS}:{day}:{_NEW}", len(tally.networks)))
        return changes

    def peaks(self) -> list[Change]:
        """Return what makes the hour's counts those of its day, where they are the highest."""
        counts = {figure: self.count(figure) for figure in Figure}
        return [
            Change(Operation.RAISE, f"{_PEAK}:{self.day}:{figure}", count)
            for figure, count in counts.items()
            if count > self.figures.get(f"{_PEAK}:{self.day}:{figure}", 0)
        ]

    def outdated(self) -> list[Change]:
        """Return what removes the figures that count no longer."""
        return [Change(Operation.DROP, word) for word in self._outdated_words()]

    def _outdated_words(self) -> Iterator[str]:
        oldest = self.day - self.window_days
        for word, value in self.figures.items():
            sort, _, rest = word.partition(":")
            match sort:
                case "now":
                    is_over = int(rest.partition(":")[0]) <= self.hour - _KEPT_HOURS
                case "peak" | "uses" | "networks":
                    is_over = int(rest.partition(":")[0]) < oldest
                case "mark":
                    is_over = int(rest.partition(":")[0]) < self.day - 1
                case "at" | "model":
                    is_over = value < oldest
                case _:
                    is_over = False
            if is_over:
                yield word
        models = sorted(self._recent_models(), key=lambda model: (model[1], model[0]))
        yield from (f"{_MODEL}:{model}" for model, _ in models[:-_MAX_MODELS])

    def _counts(self, day: int) -> bool:
        return day >= self.day - self.window_days

    def _by_day(self, sort: str, figure: str) -> Mapping[int, int]:
        """Return what of *sort* and *figure* there is, by day: of the window but not of today.

        By asking for each day: the rules ask often, and there are far more words than days.
        """
        days = range(self.day - self.window_days, self.day)
        values = ((day, self.figures.get(f"{sort}:{day}:{figure}")) for day in days)
        return {day: value for day, value in values if value is not None}

    def _recent_models(self) -> list[tuple[str, int]]:
        """Return the models that were used in the window or today, and the last day of that."""
        start = f"{_MODEL}:"
        found = [(word, day) for word, day in self.figures.items() if word.startswith(start)]
        return [(word.removeprefix(start), day) for word, day in found if self._counts(day)]

    def _mark_word(self, mark: str, kind: AnomalyKind) -> str:
        return f"{_MARK}:{self.day}:{mark}:{kind}"
