"""One database connection for one event loop: works wait in a queue, and are committed together."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Final, TypeVar

from keyvault_svc.domain.errors import LimitStoreUnavailableError

_T = TypeVar("_T")
_MAX_GROUP: Final = 256  # works of one commit: the first waits for the last
_MAX_WAITING: Final = 10_000


@dataclass(frozen=True, slots=True)
class _Job:
    work: Callable[[sqlite3.Connection], Any]
    future: Future[Any]


@dataclass(frozen=True, slots=True)
class _Done:
    future: Future[Any]
    result: Any = None
    error: Exception | None = None

    def tell(self) -> None:
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class GroupCommit:
    """Runs works one after the other in a thread of its own.

    A commit waits for the disk, some milliseconds long. In a thread it does not hold up the event
    loop, and what comes meanwhile shares the next commit: the more come at once, the less each
    waits. Nothing is told before its commit.
    """

    def __init__(self, connection: sqlite3.Connection, *, timeout_seconds: float) -> None:
        """Take over *connection*; `run` waits at most *timeout_seconds*."""
        self._connection = connection
        self._timeout_seconds = timeout_seconds
        self._queue: SimpleQueue[_Job | None] = SimpleQueue()
        self._is_closed = False
        self._thread = threading.Thread(target=self._serve, name="limit-file", daemon=True)
        self._thread.start()

    async def run(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Return what *work* returns, once it is committed.

        Raises:
            LimitStoreUnavailableError: The database failed, or did not come to it in time.
        """
        if self._is_closed or self._queue.qsize() >= _MAX_WAITING:
            raise LimitStoreUnavailableError
        future: Future[_T] = Future()
        self._queue.put(_Job(work, future))
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await asyncio.wrap_future(future)
        except (sqlite3.Error, TimeoutError) as error:
            raise LimitStoreUnavailableError from error

    async def close(self) -> None:
        """Let what waits be done, then close the connection. Idempotent."""
        if not self._is_closed:
            self._is_closed = True
            self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _serve(self) -> None:
        goes_on = True
        while goes_on:
            group = [self._queue.get()]
            while len(group) < _MAX_GROUP:
                try:
                    group.append(self._queue.get_nowait())
                except Empty:
                    break
            goes_on = None not in group
            self._commit([job for job in group if job is not None])
        self._connection.close()

    def _commit(self, jobs: list[_Job]) -> None:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            done = [self._do(job) for job in jobs if _is_wanted(job)]
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            with suppress(sqlite3.Error):  # some failures have rolled back by themselves
                self._connection.execute("ROLLBACK")
            done = [_Done(job.future, error=error) for job in jobs if _is_wanted(job)]
        for each in done:
            each.tell()

    def _do(self, job: _Job) -> _Done:
        """Do one work; if it fails, only that one has no effect.

        Raises:
            sqlite3.Error: The database failed: none of the group has an effect.
        """
        self._connection.execute("SAVEPOINT work")
        try:
            done = _Done(job.future, job.work(self._connection))
        except sqlite3.Error:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, its caller gets it
            self._connection.execute("ROLLBACK TO work")
            done = _Done(job.future, error=error)
        self._connection.execute("RELEASE work")
        return done


def _is_wanted(job: _Job) -> bool:
    """Tell whether somebody still waits for *job*; if so, it is not given up any more."""
    if job.future.cancelled():
        return False
    return job.future.running() or job.future.set_running_or_notify_cancel()
