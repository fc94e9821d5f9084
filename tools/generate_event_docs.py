"""Writes docs/events.md from the catalogues of log events, or checks that it is what they say."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from gateway_svc.log_events import EVENTS as GATEWAY_EVENTS
from keyvault_svc.log_events import EVENTS as KEY_SERVICE_EVENTS
from svc_runtime.log_event import COMMON_FIELDS, LogEvent
from svc_runtime.log_events import RUNTIME_EVENTS
from svc_runtime.log_fields import FIELD_MEANINGS, LogField

PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "events.md"

_INTRODUCTION: Final = """\
# Events of the logs

Each service writes JSON lines. This page is generated from the catalogues in the code
(`make docs`): a service logs these events at these levels with these fields, and no others. How
the lines are written is in [operators.md](operators.md#logs).

**Evidence** is written whatever `log_level` asks for. **Security** marks what security should see.
An event of the **process** may be without a request id; any other has one. A field without a value
is left out, or null.
"""


def page() -> str:
    """Return the page."""
    runtime = {event.name for event in RUNTIME_EVENTS}
    return "\n".join(
        [
            _INTRODUCTION,
            "## Of the key service\n",
            *_event_table(e for e in KEY_SERVICE_EVENTS if e.name not in runtime),
            "## Of the gateway\n",
            *_event_table(e for e in GATEWAY_EVENTS if e.name not in runtime),
            "## Of both\n",
            *_event_table(RUNTIME_EVENTS),
            "## For security\n",
            *_security_table(),
            "## Fields\n",
            *_field_table(),
        ]
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line *argv*, that of the process by default; return the exit code."""
    parser = argparse.ArgumentParser(description="Writes docs/events.md.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if it differs")
    if not parser.parse_args(argv).check:
        PAGE.write_text(page(), encoding="utf-8")
        return 0
    if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == page():
        return 0
    sys.stderr.write("docs/events.md is not what the catalogues say. Run: make docs\n")
    return 1


def _event_table(events: Iterable[LogEvent]) -> Iterator[str]:
    yield "| event | level | is | means | what to do | fields |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for event in events:
        cells = (
            f"`{event.name}`",
            ", ".join(event.levels),
            ", ".join(_marks(event)),
            event.meaning,
            event.remedy,
            _code(field for field in event.fields if field not in COMMON_FIELDS),
        )
        yield _row(cells)
    yield ""


def _security_table() -> Iterator[str]:
    yield "| event | in the log of | means | what to do |"
    yield "| --- | --- | --- | --- |"
    for event in dict.fromkeys((*KEY_SERVICE_EVENTS, *GATEWAY_EVENTS)):
        if event.is_security:
            yield _row((f"`{event.name}`", _services_of(event), event.meaning, event.remedy))
    yield ""


def _services_of(event: LogEvent) -> str:
    if event in RUNTIME_EVENTS:
        return "both"
    return "the gateway" if event in GATEWAY_EVENTS else "the key service"


def _marks(event: LogEvent) -> Iterator[str]:
    if event.is_audited:
        yield "evidence"
    if event.is_security:
        yield "security"
    if event.is_of_process:
        yield "process"


def _field_table() -> Iterator[str]:
    yield "| field | holds |"
    yield "| --- | --- |"
    for field in LogField:
        yield _row((f"`{field}`", FIELD_MEANINGS[field]))
    yield ""


def _code(fields: Iterable[LogField]) -> str:
    return ", ".join(f"`{field}`" for field in fields)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |".replace("  ", " ")


if __name__ == "__main__":
    sys.exit(main())
