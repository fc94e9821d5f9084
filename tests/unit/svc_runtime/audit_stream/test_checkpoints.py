"""Checkpoints are made when they are due, and cover what was written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from svc_runtime.audit_stream.chain import Head, digest_of
from svc_runtime.audit_stream.checkpoints import (
    MAX_LAG_LINES,
    MAX_SILENCE_SECONDS,
    MAX_UNSIGNED_LINES,
    MAX_UNSIGNED_SECONDS,
    Checkpointer,
    checkpoints,
)
from svc_runtime.audit_stream.line_writer import LineWriter
from svc_runtime.audit_stream.outputs import DescriptorOutput
from svc_runtime.audit_stream.stream import AuditStream
from svc_runtime.vault.errors import VaultUnavailableError
from tests.fakes.fake_clock import FakeClock
from tests.unit.svc_runtime.audit_stream.chain_lines import chained, parsed
from tests.unit.svc_runtime.audit_stream.log_stage import logs_to

_log = structlog.get_logger()


class _Signer:
    """Signs, or is away; lines may come while it signs."""

    def __init__(self) -> None:
        self.signed: list[Head] = []
        self.is_away = False
        self.lines_meanwhile = 0

    async def sign(self, head: Head) -> str:
        if self.is_away:
            raise VaultUnavailableError
        for _ in range(self.lines_meanwhile):
            _log.info("serving", count=1)
        self.signed.append(head)
        return f"signature {len(self.signed)}"


class _EndedError(Exception):
    """The run has lasted long enough."""


class _Stage:
    """A stream in a file, and its checkpoints by a clock that runs only while they sleep."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._descriptor = os.open(file, os.O_WRONLY | os.O_CREAT)
        writer = LineWriter(DescriptorOutput(self._descriptor))
        self.stream = AuditStream("test-svc", writer, writer)
        self.signer = _Signer()
        self.clock = FakeClock()
        self.checkpointer = Checkpointer(self.stream, self.signer, self.clock, self._sleep)
        self._end = 0.0

    @property
    def raw_lines(self) -> list[bytes]:
        return self._file.read_bytes().splitlines()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return chained(self._file.read_bytes())

    @property
    def plain(self) -> list[dict[str, Any]]:
        return [line for line in parsed(self._file.read_bytes()) if "chain" not in line]

    async def run(self, seconds: float) -> None:
        """Let the checkpoints be made for *seconds*."""
        self._end = self.clock.monotonic() + seconds
        with pytest.raises(_EndedError):
            await self.checkpointer.run()

    async def _sleep(self, seconds: float) -> None:
        if self.clock.monotonic() >= self._end:
            raise _EndedError
        self.clock.advance(seconds)

    def close(self) -> None:
        self.stream.close()
        os.close(self._descriptor)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[_Stage]:
    made = _Stage(tmp_path / "log")
    with logs_to(made.stream):
        yield made
    made.close()


def _log_lines(count: int) -> None:
    for _ in range(count):
        _log.info("serving", count=1)


async def test_a_checkpoint_signs_the_head_and_says_which(stage: _Stage) -> None:
    _log_lines(3)

    assert await stage.checkpointer.make()

    checkpoint = stage.lines[-1]
    assert checkpoint["event"] == "audit_checkpoint"
    assert checkpoint["signed_seq"] == 3
    assert checkpoint["signed_head"] == digest_of(stage.raw_lines[2])
    assert checkpoint["signature"] == "signature 1"
    assert stage.signer.signed == [Head(checkpoint["chain"], 3, checkpoint["signed_head"])]


async def test_a_checkpoint_leaves_nothing_unsigned(stage: _Stage) -> None:
    _log_lines(3)
    before = stage.checkpointer.unsigned_count
    await stage.checkpointer.make()

    assert (before, stage.checkpointer.unsigned_count) == (3, 0)


async def test_lines_that_come_while_vault_signs_are_left_for_the_next(stage: _Stage) -> None:
    _log_lines(3)
    stage.signer.lines_meanwhile = 2
    await stage.checkpointer.make()

    assert stage.checkpointer.unsigned_count == 3  # both, and the checkpoint behind them


async def test_a_head_that_has_become_old_is_not_used(stage: _Stage) -> None:
    _log_lines(3)
    stage.signer.lines_meanwhile = MAX_LAG_LINES + 1

    assert not await stage.checkpointer.make()
    assert {line["event"] for line in stage.lines} == {"serving"}


async def test_a_minute_after_a_line_there_is_a_checkpoint(stage: _Stage) -> None:
    await _begin(stage)
    _log_lines(1)

    await stage.run(MAX_UNSIGNED_SECONDS - 1)
    early = len(stage.signer.signed)
    await stage.run(2)

    assert (early, len(stage.signer.signed)) == (1, 2)


async def _begin(stage: _Stage) -> None:
    _log_lines(1)
    await stage.checkpointer.make()


async def test_the_first_line_is_signed_at_once(stage: _Stage) -> None:
    _log_lines(1)

    await stage.run(0)

    assert [head.seq for head in stage.signer.signed] == [1]


async def test_many_lines_do_not_wait_for_the_minute(stage: _Stage) -> None:
    await _begin(stage)
    _log_lines(MAX_UNSIGNED_LINES)

    await stage.run(1)

    assert [head.seq for head in stage.signer.signed] == [1, MAX_UNSIGNED_LINES + 2]


async def test_an_idle_chain_tells_every_ten_minutes_that_it_goes_on(stage: _Stage) -> None:
    await stage.run(3 * MAX_SILENCE_SECONDS + 10)

    assert len(stage.signer.signed) == 3


async def test_what_vault_does_not_sign_is_tried_again(stage: _Stage) -> None:
    _log_lines(MAX_UNSIGNED_LINES)
    stage.signer.is_away = True
    await stage.run(10)
    failed = [line["reason"] for line in stage.plain]

    stage.signer.is_away = False
    await stage.run(6)

    assert failed == ["VAULT_UNAVAILABLE"] * 3
    assert len(stage.signer.signed) == 1


async def test_the_end_of_a_chain_is_signed(stage: _Stage) -> None:
    async with checkpoints(stage.stream, stage.signer, stage.clock):
        _log_lines(2)

    assert [line["event"] for line in stage.lines][2:] == [
        "audit_stream_closed",
        "audit_checkpoint",
    ]
    assert stage.signer.signed[-1].seq == 3


async def test_a_chain_ends_without_a_signature_when_vault_is_away(stage: _Stage) -> None:
    stage.signer.is_away = True
    async with checkpoints(stage.stream, stage.signer, stage.clock):
        _log_lines(2)

    assert [line["event"] for line in stage.lines][2:] == ["audit_stream_closed"]
