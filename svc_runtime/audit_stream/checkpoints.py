"""Checkpoints: Vault signs the chain's head every now and then, and at the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, Protocol

import structlog

from svc_runtime.audit_stream.chain import CHECKPOINT, Head
from svc_runtime.audit_stream.errors import AuditUnavailableError
from svc_runtime.audit_stream.stream import AuditStream
from svc_runtime.clock import Clock
from svc_runtime.telemetry.metrics_of_process import AUDIT_FAILURES, AUDIT_UNSIGNED
from svc_runtime.vault.errors import VaultUnavailableError

MAX_UNSIGNED_LINES: Final = 1000
MAX_UNSIGNED_SECONDS: Final = 60.0
MAX_SILENCE_SECONDS: Final = 600.0
"""After so long a checkpoint is made of an idle chain, too: one that is silent has ended."""
MAX_LAG_LINES: Final = 2000
"""What may be written while Vault signs. Whoever verifies keeps some more hashes than these."""

_LOOK_SECONDS: Final = 1.0
_RETRY_SECONDS: Final = 5.0

_log = structlog.get_logger()


class HeadSigner(Protocol):
    """Signs for the service; nobody else can."""

    async def sign(self, head: Head) -> str:
        """Return the signature of `head.message()`, asked for under `head.request_id()`.

        Raises:
            VaultUnavailableError: Vault cannot answer.
        """


class Checkpointer:
    """Makes checkpoints of one stream."""

    def __init__(
        self,
        stream: AuditStream,
        signer: HeadSigner,
        clock: Clock,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._stream = stream
        self._signer = signer
        self._clock = clock
        self._sleep = sleep
        self._settled_seq = 0  # up to here all is signed, or is the line of a checkpoint
        self._signed_time = clock.monotonic()
        self._unsigned_time: float | None = None

    @property
    def unsigned_count(self) -> int:
        """How many lines no checkpoint covers."""
        return self._stream.head.seq - self._settled_seq

    async def run(self) -> None:
        """Make checkpoints when they are due, until cancelled."""
        while True:
            pause = _LOOK_SECONDS
            if self._is_due() and not await self.make():
                pause = _RETRY_SECONDS
            await self._sleep(pause)

    async def make(self) -> bool:
        """Make a checkpoint; return whether that was possible."""
        try:
            head = await self._written_head()
            signature = await self._signer.sign(head)
        except (AuditUnavailableError, VaultUnavailableError) as error:
            _log.warning("audit_checkpoint_failed", reason=error.reason)
            AUDIT_FAILURES.add(1)
            return False
        if self._stream.head.seq - head.seq > MAX_LAG_LINES:
            return False
        _log.info(CHECKPOINT, signed_seq=head.seq, signed_head=head.digest, signature=signature)
        # Lines that came meanwhile stand between the two, and are covered by the next.
        is_next = self._stream.head.seq == head.seq + 1
        self._settled_seq = head.seq + is_next
        self._signed_time = self._clock.monotonic()
        self._unsigned_time = None if is_next else self._signed_time
        return True

    async def finish(self) -> None:
        """End the chain, with a checkpoint if Vault can sign it."""
        self._stream.end()
        await self.make()

    async def _written_head(self) -> Head:
        self._stream.tell_lost()  # else only the next call would, and until then nothing is signed
        head = self._stream.head
        await self._stream.flushed()
        return head

    def _is_due(self) -> bool:
        now = self._clock.monotonic()
        count = self.unsigned_count
        if not count:
            return now - self._signed_time >= MAX_SILENCE_SECONDS
        if self._unsigned_time is None:
            self._unsigned_time = now
        if not self._settled_seq:
            return True  # at once, so that a chain of which Vault knows nothing is a forged one
        return count >= MAX_UNSIGNED_LINES or now - self._unsigned_time >= MAX_UNSIGNED_SECONDS


@asynccontextmanager
async def checkpoints(stream: AuditStream, signer: HeadSigner, clock: Clock) -> AsyncIterator[None]:
    """Have *signer* sign *stream* when it is due, and on the way out for good."""
    checkpointer = Checkpointer(stream, signer, clock)
    AUDIT_UNSIGNED.follow(lambda: checkpointer.unsigned_count)
    task = asyncio.create_task(checkpointer.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await checkpointer.finish()
