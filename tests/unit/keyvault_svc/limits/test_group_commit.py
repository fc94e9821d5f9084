from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable

import pytest

from keyvault_svc.domain.errors import LimitStoreUnavailableError
from keyvault_svc.limits import group_commit
from keyvault_svc.limits.group_commit import GroupCommit

LONG_SECONDS = 20.0


@pytest.fixture
async def commits() -> AsyncIterator[GroupCommit]:
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    connection.execute("CREATE TABLE word (word TEXT UNIQUE)")
    commits = GroupCommit(connection, timeout_seconds=LONG_SECONDS)
    yield commits
    await commits.close()


def _add(word: str) -> Callable[[sqlite3.Connection], str]:
    def work(db: sqlite3.Connection) -> str:
        db.execute("INSERT INTO word VALUES (?)", (word,))
        return word

    return work


def _words(db: sqlite3.Connection) -> list[str]:
    return [word for (word,) in db.execute("SELECT word FROM word ORDER BY word")]


class _Pause:
    """A work that holds up those behind it until `end`."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self._ended = threading.Event()

    def __call__(self, _: sqlite3.Connection) -> None:
        self.began.set()
        self._ended.wait(LONG_SECONDS)

    def end(self) -> None:
        self._ended.set()


async def _paused(commits: GroupCommit) -> tuple[_Pause, asyncio.Task[None]]:
    pause = _Pause()
    task = asyncio.create_task(commits.run(pause))
    await asyncio.to_thread(pause.began.wait, LONG_SECONDS)
    return pause, task


async def test_works_are_done_and_each_gets_its_own_result(commits: GroupCommit) -> None:
    results = await asyncio.gather(*(commits.run(_add(str(number))) for number in range(600)))

    assert results == [str(number) for number in range(600)]
    assert len(await commits.run(_words)) == 600


async def test_the_event_loop_goes_on_while_a_work_is_done(commits: GroupCommit) -> None:
    pause, task = await _paused(commits)
    turns = 0
    while turns < 100:
        await asyncio.sleep(0)
        turns += 1
    pause.end()
    await task


async def test_a_work_that_fails_undoes_itself_only(commits: GroupCommit) -> None:
    def fail(db: sqlite3.Connection) -> None:
        _add("bad")(db)
        raise KeyError("word")

    pause, task = await _paused(commits)
    works: list[Callable[[sqlite3.Connection], object]] = [_add("a"), fail, _add("b")]
    tasks = asyncio.gather(*(commits.run(work) for work in works), return_exceptions=True)
    await asyncio.sleep(0)
    pause.end()
    await task
    first, failure, last = await tasks

    assert (first, last) == ("a", "b")
    assert isinstance(failure, KeyError)
    assert await commits.run(_words) == ["a", "b"]


async def test_a_database_that_fails_undoes_the_whole_group_and_works_again(
    commits: GroupCommit,
) -> None:
    pause, task = await _paused(commits)
    tasks = asyncio.gather(
        *(commits.run(_add(word)) for word in ("a", "b", "b")), return_exceptions=True
    )
    await asyncio.sleep(0)
    pause.end()
    await task
    results = await tasks

    assert [type(result) for result in results] == [LimitStoreUnavailableError] * 3
    assert await commits.run(_words) == []
    await commits.run(_add("a"))
    assert await commits.run(_words) == ["a"]


async def test_a_work_whose_caller_left_is_not_done(commits: GroupCommit) -> None:
    pause, task = await _paused(commits)
    left = asyncio.create_task(commits.run(_add("a")))
    await asyncio.sleep(0)
    left.cancel()
    await asyncio.wait([left])
    pause.end()
    await task

    assert await commits.run(_words) == []


async def test_too_many_waiting_works_are_turned_away(
    commits: GroupCommit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "_MAX_WAITING", 2)
    pause, task = await _paused(commits)
    waiting = [asyncio.create_task(commits.run(_add(word))) for word in ("a", "b")]
    await asyncio.sleep(0)

    with pytest.raises(LimitStoreUnavailableError):
        await commits.run(_add("c"))

    pause.end()
    await task
    assert await asyncio.gather(*waiting) == ["a", "b"]


async def test_closing_does_what_waits_first() -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    connection.execute("CREATE TABLE word (word TEXT)")
    commits = GroupCommit(connection, timeout_seconds=LONG_SECONDS)
    pause, task = await _paused(commits)
    waiting = asyncio.create_task(commits.run(_add("a")))
    await asyncio.sleep(0)
    closing = asyncio.create_task(commits.close())
    await asyncio.sleep(0)
    pause.end()

    await asyncio.gather(task, closing)
    assert await waiting == "a"
    with pytest.raises(LimitStoreUnavailableError):
        await commits.run(_words)
