from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest

from svc_runtime.telemetry import metrics
from svc_runtime.telemetry.metrics import Counter, Gauge, Histogram, Label, UpDown
from tests.fakes.figures import Figures, measured_figures


@pytest.fixture(autouse=True)
def _own_instruments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "_instruments", [])


@pytest.fixture
def fruit() -> Label:
    return Label("fruit", ["apple", "pear"])


@pytest.fixture
def eaten(fruit: Label) -> Counter:
    return Counter("test.eaten", "Fruit.", fruit)


@pytest.fixture
def figures(eaten: Counter) -> Iterator[Figures]:
    del eaten
    with measured_figures() as figures:
        yield figures


def test_a_counter_counts_by_its_labels(eaten: Counter, figures: Figures) -> None:
    eaten.add(1, "apple")
    eaten.add(2, "apple")

    assert figures.of("test_eaten_total") == {(("fruit", "apple"),): 3}


def test_a_value_that_is_not_allowed_counts_as_other(eaten: Counter, figures: Figures) -> None:
    eaten.add(1, "users/alice/keys/openai")

    assert figures.of("test_eaten_total") == {(("fruit", "other"),): 1}


def test_an_empty_value_stays_empty(eaten: Counter, figures: Figures) -> None:
    eaten.add(1, "")

    assert figures.of("test_eaten_total") == {(): 1}


def test_a_value_can_be_allowed_later(eaten: Counter, fruit: Label, figures: Figures) -> None:
    fruit.allow(["fig"])

    eaten.add(1, "fig")

    assert figures.of("test_eaten_total") == {(("fruit", "fig"),): 1}


@pytest.mark.usefixtures("eaten")
def test_a_counter_shows_zeros_for_what_has_not_happened(figures: Figures) -> None:
    shown = {labels for name, labels in figures.all() if name == "test_eaten_total"}

    assert shown == {(("fruit", "apple"),), (("fruit", "pear"),)}


def test_a_counter_without_labels_shows_zero() -> None:
    Counter("test.spilled", "Nothing more.")

    with measured_figures() as figures:
        assert figures.all()["test_spilled_total", ()] == 0


def test_zeros_that_are_shown_again_change_nothing(eaten: Counter, figures: Figures) -> None:
    eaten.add(2, "pear")
    figures.all()

    assert figures.of("test_eaten_total") == {(("fruit", "pear"),): 2}


def test_values_must_be_as_many_as_labels(eaten: Counter, figures: Figures) -> None:
    with pytest.raises(ValueError, match="zip"):
        eaten.add(1, "apple", "pear")

    assert figures.of("test_eaten_total") == {}


def test_a_histogram_has_its_own_buckets(fruit: Label) -> None:
    weight = Histogram("test.weight", "Of fruit.", fruit, unit="s", buckets=(1.0, 2.0))

    with measured_figures() as figures:
        weight.record(1.5, "pear")
        buckets = figures.of("test_weight_seconds_bucket")

    assert buckets == {
        (("fruit", "pear"), ("le", "2.0")): 1,
        (("fruit", "pear"), ("le", "+Inf")): 1,
    }


def test_what_is_under_way_is_counted_until_it_ends(fruit: Label) -> None:
    ripening = UpDown("test.ripening", "Fruit.", fruit)

    with measured_figures() as figures:
        with suppress(LookupError), ripening.one("pear"):
            during = figures.of("test_ripening")
            raise LookupError
        after = figures.of("test_ripening")

    assert during == {(("fruit", "pear"),): 1}
    assert after == {}


def test_a_gauge_shows_what_it_follows_at_the_time_of_asking() -> None:
    stock = Gauge("test.stock", "Fruit.")
    left = [3.0]
    stock.follow(lambda: left[0])

    with measured_figures() as figures:
        before = figures.of("test_stock")
        left[0] = 2.0
        after = figures.of("test_stock")

    assert (before, after) == ({(): 3}, {(): 2})


def test_a_gauge_shows_nothing_where_nothing_is_known() -> None:
    stock = Gauge("test.stock", "Fruit.")
    stock.follow(lambda: None)

    with measured_figures() as figures:
        assert [name for name, _ in figures.all() if name == "test_stock"] == []


def test_a_gauge_shows_all_that_it_follows(fruit: Label) -> None:
    stock = Gauge("test.stock", "Fruit.", fruit)
    stock.follow_all(lambda: [(1.0, ("apple",)), (2.0, ("quince",))])

    with measured_figures() as figures:
        assert figures.of("test_stock") == {(("fruit", "apple"),): 1, (("fruit", "other"),): 2}


def test_nothing_is_measured_before_and_after_an_export(eaten: Counter) -> None:
    eaten.add(1, "apple")
    with measured_figures():
        eaten.add(1, "apple")
    eaten.add(1, "apple")

    with measured_figures() as figures:
        assert figures.of("test_eaten_total") == {}


def test_the_figures_name_the_service_and_nothing_else_of_the_process(figures: Figures) -> None:
    assert figures.of("target_info") == {(("service_name", "test-svc"),): 1}
