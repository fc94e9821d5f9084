"""Where rendered log lines go."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Protocol, TextIO

from structlog.typing import EventDict, WrappedLogger

from svc_runtime.log_fields import LogField

Rendered = tuple[tuple[str], dict[str, bool]]
"""Arguments of a logger's method: a line, and whether it is audited."""


class LineOutput(Protocol):
    """Takes log lines."""

    def write(self, line: str, *, is_audited: bool) -> None:
        """Take *line*, a JSON object without a newline."""


class StreamOutput:
    """A text stream, on which a line is written when `write` returns."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def write(self, line: str, *, is_audited: bool) -> None:
        """Write *line*, audited or not."""
        del is_audited
        with self._lock:
            self._stream.write(line + "\n")
            self._stream.flush()


class LineLogger:
    """What structlog calls with a rendered line, by the name of its level."""

    def __init__(self, output: LineOutput) -> None:
        self.debug = self.info = self.warning = self.error = self.critical = output.write


def rendering(audited: frozenset[str]) -> Callable[[WrappedLogger, str, EventDict], Rendered]:
    """Return the last processor, which tells apart the events that *audited* names."""

    def rendered(_logger: WrappedLogger, _name: str, event: EventDict) -> Rendered:
        # By the encoder that the module keeps: structlog's renderer makes one for each line.
        return (json.dumps(event),), {"is_audited": event[LogField.EVENT] in audited}

    return rendered
