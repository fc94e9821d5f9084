"""Server-sent events, read as they come. Of the format, only `data` fields matter to OpenAI's."""

from __future__ import annotations

from typing import Final

_MAX_EVENT_BYTES: Final = 4 * 1024 * 1024  # an image in a Responses event can have megabytes
DONE: Final = b"[DONE]"


class EventDecoder:
    """Turns pieces of an event stream into the data of its events, whatever the cuts."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._data: list[bytes] = []
        self._data_bytes = 0  # line ends included: an event of empty lines has a size, too

    def feed(self, piece: bytes) -> list[bytes]:
        """Take *piece*; return the data of each event that is complete now.

        Raises:
            ValueError: One event is larger than 4 MiB.
        """
        self._buffer += piece
        events: list[bytes] = []
        while (end := self._buffer.find(b"\n")) >= 0:
            line = bytes(self._buffer[:end]).removesuffix(b"\r")
            del self._buffer[: end + 1]
            if line.startswith(b"data:"):
                self._data.append(line[5:].removeprefix(b" "))
                self._data_bytes += end + 1
            elif not line and self._data:
                events.append(b"\n".join(self._data))
                self._data.clear()
                self._data_bytes = 0
        if len(self._buffer) + self._data_bytes > _MAX_EVENT_BYTES:
            raise ValueError("an event has more than 4 MiB")
        return events
