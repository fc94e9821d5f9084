"""The line to the Vault that the fakes stand for: it breaks, and lets others in, where told to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from svc_runtime.vault.errors import VaultUnavailableError

Interloper = Callable[[], Awaitable[object] | None]


class FakeVaultLine:
    """Counts the requests of all fakes that share it.

    Attributes:
        requests: What was asked for, in order.
    """

    def __init__(self) -> None:
        self.requests: list[str] = []
        self._breaks_at: int | None = None
        self._is_answer_lost = False
        self._interlopers: list[tuple[str, Interloper]] = []

    def break_at(self, number: int, *, is_answer_lost: bool = False) -> None:
        """Have Vault go away at the *number*th request from now, from 1, until `mend`.

        Args:
            number: The first request that fails.
            is_answer_lost: Whether that one is done all the same, and only its answer is lost.
        """
        self._breaks_at = len(self.requests) + number
        self._is_answer_lost = is_answer_lost

    def mend(self) -> None:
        """Have Vault answer again."""
        self._breaks_at = None

    @property
    def is_broken(self) -> bool:
        """Whether Vault has gone away, and a request has met that."""
        return self._breaks_at is not None and len(self.requests) >= self._breaks_at

    def before(self, what: str, act: Interloper) -> None:
        """Call *act* once, before the next request *what*: the place for another writer."""
        self._interlopers.append((what, act))

    @asynccontextmanager
    async def request(self, what: str) -> AsyncIterator[None]:
        """Ask Vault for *what*; its effect is the body.

        Raises:
            VaultUnavailableError: Vault has gone away.
        """
        for waiting in [entry for entry in self._interlopers if entry[0] == what][:1]:
            self._interlopers.remove(waiting)
            done = waiting[1]()
            if isinstance(done, Awaitable):
                await done
        self.requests.append(what)
        number, breaks_at = len(self.requests), self._breaks_at
        is_there = breaks_at is None or number < breaks_at
        if not is_there and not (number == breaks_at and self._is_answer_lost):
            raise VaultUnavailableError
        try:
            yield
        finally:
            if not is_there:
                raise VaultUnavailableError
