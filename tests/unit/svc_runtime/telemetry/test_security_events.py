from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
import structlog

from svc_runtime.log_event import LogEvent, LogLevel
from svc_runtime.logging_setup import configure_logging
from tests.fakes.figures import Figures, measured_figures

EVENTS = (
    LogEvent(name="intruder_seen", level=LogLevel.WARNING, meaning="Them.", is_security=True),
    LogEvent(name="door_opened", level=LogLevel.INFO, meaning="By us."),
)
COUNT = "keyturn_security_events_total"


@pytest.fixture
def figures() -> Iterator[Figures]:
    configure_logging("test-svc", io.StringIO(), events=EVENTS)
    with measured_figures() as figures:
        yield figures
    structlog.reset_defaults()


def test_an_event_for_security_counts_when_it_is_logged(figures: Figures) -> None:
    log = structlog.get_logger()

    log.warning("intruder_seen")
    log.warning("intruder_seen")
    log.info("door_opened")

    assert figures.of(COUNT) == {(("event", "intruder_seen"),): 2}


def test_one_that_was_not_logged_yet_shows_as_zero(figures: Figures) -> None:
    assert figures.all()[COUNT, (("event", "intruder_seen"),)] == 0
