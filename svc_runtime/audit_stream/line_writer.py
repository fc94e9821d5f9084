"""Lines on their way to one output, which never hold up whoever puts them."""

from __future__ import annotations

import asyncio
import errno
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from svc_runtime.audit_stream.outputs import PIECE_BYTES, Output

MAX_WAITING_BYTES: Final = 16 * 1024 * 1024
"""What may wait for an output that does not take it: some 15,000 lines."""

_MAX_GROUP_BYTES: Final = 256 * 1024  # of one write: the first line waits for the last
_RETRY_SECONDS: Final = 0.1


class LineWriter:
    """Hands lines to one output, by one thread for all that the output does not take at once.

    What comes while the output is busy waits, and shares the next write: with an output that waits
    for a disk, the more lines come at once, the less each waits. A write that fails is repeated
    from where it failed, until it succeeds.
    """

    def __init__(
        self,
        output: Output,
        *,
        max_waiting_bytes: int = MAX_WAITING_BYTES,
        on_failure: Callable[[str], None] = lambda _: None,
        on_recovery: Callable[[], None] = lambda: None,
    ) -> None:
        """Take over *output*.

        Args:
            output: Where the lines go.
            max_waiting_bytes: What may wait, as far as `has_room` tells.
            on_failure: Called with the name of the error when writes begin to fail.
            on_recovery: Called when they succeed again.
        """
        self._output = output
        self._max_waiting_bytes = max_waiting_bytes
        self._on_failure = on_failure
        self._on_recovery = on_recovery
        self._changed = threading.Condition()
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0  # those under way included
        self._is_busy = False
        self._put_count = 0
        self._written_count = 0
        self._waiters: deque[tuple[int, asyncio.AbstractEventLoop, asyncio.Future[None]]] = deque()
        self._failure = ""
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="line-writer", daemon=True)
        self._thread.start()

    def has_room(self, share: float = 1.0) -> bool:
        """Tell whether less than *share* of what may wait does so."""
        return self._waiting_bytes < self._max_waiting_bytes * share

    def put(self, line: bytes) -> None:
        """Have *line*, which ends in a newline, written; at once if the output takes it at once."""
        with self._changed:
            self._put_count += 1
            rest = line if self._waiting or self._is_busy else self._written_at_once(line)
            if not rest:
                self._written_count += 1
                return
            self._waiting.append(rest)
            self._waiting_bytes += len(rest)
            self._changed.notify()

    async def written(self, timeout_seconds: float) -> None:
        """Return once every line that was put is written.

        Raises:
            TimeoutError: They are not within *timeout_seconds*. They are still to be written.
        """
        loop = asyncio.get_running_loop()
        with self._changed:
            if self._written_count == self._put_count:
                return
            while self._waiters and self._waiters[0][2].done():  # it was given up
                self._waiters.popleft()
            waiter = loop.create_future()
            self._waiters.append((self._put_count, loop, waiter))
        async with asyncio.timeout(timeout_seconds):
            await waiter

    def close(self, timeout_seconds: float) -> None:
        """Let what waits be written for *timeout_seconds* at most; give the rest up. Idempotent."""
        self._closing.set()
        with self._changed:
            self._changed.notify()
        self._thread.join(timeout_seconds)

    def _written_at_once(self, line: bytes) -> bytes:
        """Return what of *line* the output does not take at once."""
        try:
            while line and self._output.is_ready():
                line = line[self._output.write(line[:PIECE_BYTES]) :]
        except OSError:
            pass  # the thread meets the same error, and tells of it
        return line

    def _serve(self) -> None:
        while (group := self._take_group()) is not None:
            lines, data = group
            if not self._write(memoryview(data)):
                break
            self._tell_written(lines, len(data))
        self._output.close()

    def _take_group(self) -> tuple[int, bytes] | None:
        """Wait for lines, and return how many come next, and their bytes; None at the end."""
        with self._changed:
            self._is_busy = False
            while not self._waiting:
                if self._closing.is_set():
                    return None
                self._changed.wait()
            self._is_busy = True
            group: list[bytes] = []
            size = 0
            while self._waiting and size < _MAX_GROUP_BYTES:
                group.append(self._waiting.popleft())
                size += len(group[-1])
            return len(group), b"".join(group)

    def _write(self, data: memoryview) -> bool:
        """Write all of *data*; return whether that was possible before the end."""
        while data:
            try:
                count = self._output.write(data)
            except OSError as error:
                self._note_failure(errno.errorcode.get(error.errno or 0, "EIO"))
                if self._closing.wait(_RETRY_SECONDS):
                    return False
            else:
                data = data[count:]
                self._note_failure("")
        return True

    def _note_failure(self, name: str) -> None:
        before, self._failure = self._failure, name
        if name and not before:
            self._on_failure(name)
        elif before and not name:
            self._on_recovery()

    def _tell_written(self, lines: int, size: int) -> None:
        with self._changed:
            self._written_count += lines
            self._waiting_bytes -= size
            done = []
            while self._waiters and self._waiters[0][0] <= self._written_count:
                done.append(self._waiters.popleft()[1:])
        for loop in {loop for loop, _ in done}:
            waiters = [waiter for its_loop, waiter in done if its_loop is loop]
            with suppress(RuntimeError):  # the loop has ended: nobody waits any more
                loop.call_soon_threadsafe(_wake, waiters)


def _wake(waiters: list[asyncio.Future[None]]) -> None:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(None)
