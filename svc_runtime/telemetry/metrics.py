"""Metrics whose labels cannot hold anything but words of closed sets.

Instruments are made where modules are imported, and measure nothing until `bind` gives them a
meter: a process without a metrics port pays one comparison for each. A label's values are
allowed by name, before calls are served; whatever else is recorded counts as `other`. So no name
of an owner, an app or a key can become a label's value, and a caller cannot make up series.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

from opentelemetry.metrics import CallbackOptions, Meter, Observation
from opentelemetry.metrics import Counter as MeterCounter
from opentelemetry.metrics import Histogram as MeterHistogram
from opentelemetry.metrics import UpDownCounter as MeterUpDownCounter

OTHER: Final = "other"
NO_VALUE: Final = ""
"""For what a label says nothing about; Prometheus takes it for the label's absence."""

_FAST_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
SHORT_SECONDS: Final = (*_FAST_SECONDS, 10.0)
"""Buckets of what takes milliseconds."""
CALL_SECONDS: Final = (*_FAST_SECONDS, 10.0, 30.0, 60.0, 300.0, 900.0)
"""Buckets of calls that may last as long as a model thinks."""

Reading: TypeAlias = tuple[float, tuple[str, ...]]
"""A gauge's value, and the values of its labels."""


class MetricKind(StrEnum):
    """What a metric's figures mean."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Label:
    """A label, and the values that it may have.

    Attributes:
        name: As OpenTelemetry spells it, such as `rpc.method`.
        values: Those allowed so far. `other` and the empty value always are.
    """

    def __init__(self, name: str, values: Iterable[str] = ()) -> None:
        self.name = name
        self.values = frozenset(values)

    def allow(self, values: Iterable[str]) -> None:
        """Allow *values*, too. To be called while the process starts."""
        self.values |= frozenset(values)

    def value_of(self, word: str) -> str:
        """Return *word* if it is allowed, `other` if not."""
        return word if word in self.values or word == NO_VALUE else OTHER


@dataclass(frozen=True, slots=True)
class Description:
    """What a metric is.

    Attributes:
        name: As OpenTelemetry spells it.
        unit: By UCUM, such as `s`; empty where things are counted.
        meaning: One sentence, shown beside the figures.
        labels: In the order in which their values are given.
        buckets: Upper bounds of a histogram's buckets.
    """

    name: str
    kind: MetricKind
    unit: str
    meaning: str
    labels: tuple[Label, ...] = ()
    buckets: tuple[float, ...] = ()

    def attributes(self, values: Sequence[str]) -> dict[str, str]:
        """Return *values*, one for each label, by the labels' names.

        Raises:
            ValueError: There are more or fewer than labels.
        """
        pairs = zip(self.labels, values, strict=True)
        return {label.name: label.value_of(value) for label, value in pairs}


class Instrument(ABC):
    """Something that measures one metric."""

    def __init__(self, description: Description) -> None:
        self.description = description
        _instruments.append(self)

    @abstractmethod
    def bind(self, meter: Meter | None) -> None:
        """Measure with *meter* from now on; with None, nothing."""


class Counter(Instrument):
    """Counts what happens."""

    def __init__(self, name: str, meaning: str, *labels: Label, unit: str = "") -> None:
        super().__init__(Description(name, MetricKind.COUNTER, unit, meaning, labels))
        self._counter: MeterCounter | None = None

    def bind(self, meter: Meter | None) -> None:
        """Measure with *meter* from now on; with None, nothing."""
        it = self.description
        self._counter = (
            None if meter is None else meter.create_counter(it.name, it.unit, it.meaning)
        )

    def seed(self) -> None:
        """Show zeros: a rate counts from the second value on, and would miss what comes first."""
        labels = self.description.labels
        if not labels:
            self.add(0)
        elif len(labels) == 1:
            for value in sorted(labels[0].values):
                self.add(0, value)

    def add(self, amount: float, *values: str) -> None:
        """Count *amount* for *values*, one for each label."""
        if self._counter is not None:
            self._counter.add(amount, self.description.attributes(values))


class Histogram(Instrument):
    """Measures how long or how large."""

    def __init__(
        self,
        name: str,
        meaning: str,
        *labels: Label,
        unit: str = "s",
        buckets: tuple[float, ...] = SHORT_SECONDS,
    ) -> None:
        super().__init__(Description(name, MetricKind.HISTOGRAM, unit, meaning, labels, buckets))
        self._histogram: MeterHistogram | None = None

    def bind(self, meter: Meter | None) -> None:
        """Measure with *meter* from now on; with None, nothing."""
        it = self.description
        self._histogram = None
        if meter is not None:
            self._histogram = meter.create_histogram(
                it.name, it.unit, it.meaning, explicit_bucket_boundaries_advisory=it.buckets
            )

    def record(self, amount: float, *values: str) -> None:
        """Measure *amount* for *values*, one for each label."""
        if self._histogram is not None:
            self._histogram.record(amount, self.description.attributes(values))


class UpDown(Instrument):
    """Counts what is there right now."""

    def __init__(self, name: str, meaning: str, *labels: Label, unit: str = "") -> None:
        super().__init__(Description(name, MetricKind.GAUGE, unit, meaning, labels))
        self._counter: MeterUpDownCounter | None = None

    def bind(self, meter: Meter | None) -> None:
        """Measure with *meter* from now on; with None, nothing."""
        it = self.description
        self._counter = (
            None if meter is None else meter.create_up_down_counter(it.name, it.unit, it.meaning)
        )

    @contextmanager
    def one(self, *values: str) -> Iterator[None]:
        """Count one more for *values*, from entering to leaving."""
        counter = self._counter
        if counter is None:
            yield
            return
        attributes = self.description.attributes(values)
        counter.add(1, attributes)
        try:
            yield
        finally:
            counter.add(-1, attributes)


class Gauge(Instrument):
    """Shows what somebody else knows, at the time of asking."""

    def __init__(self, name: str, meaning: str, *labels: Label, unit: str = "") -> None:
        super().__init__(Description(name, MetricKind.GAUGE, unit, meaning, labels))
        self._read: Callable[[], Iterable[Reading]] = tuple

    def bind(self, meter: Meter | None) -> None:
        """Show it by *meter* from now on; with None, nowhere new."""
        it = self.description
        if meter is not None:
            meter.create_observable_gauge(it.name, [self._observe], it.unit, it.meaning)

    def follow(self, read: Callable[[], float | None]) -> None:
        """Show what *read* returns; nothing for None."""

        def readings() -> Iterable[Reading]:
            value = read()
            return () if value is None else ((value, ()),)

        self.follow_all(readings)

    def follow_all(self, read: Callable[[], Iterable[Reading]]) -> None:
        """Show all that *read* returns. It may be called in another thread than the caller's."""
        self._read = read

    def _observe(self, _options: CallbackOptions) -> Iterable[Observation]:
        for value, labels in self._read():
            yield Observation(value, self.description.attributes(labels))


_instruments: list[Instrument] = []


def instruments() -> Sequence[Instrument]:
    """Return every instrument of the modules that were imported."""
    return tuple(_instruments)


def bind(meter: Meter | None) -> None:
    """Let every instrument measure with *meter*; with None, none of them."""
    for instrument in _instruments:
        instrument.bind(meter)
