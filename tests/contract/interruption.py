"""Kills a job at a chosen call of one of its ports."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

Interloper = Callable[[], Awaitable[object]]


class KilledError(Exception):
    """Stands for the end of the process: nothing in the job handles it."""


class Interruption:
    """Counts the calls of all ports that share it, and ends the job at one of them.

    Attributes:
        calls: How often each method was called, since the last kill.
    """

    def __init__(self) -> None:
        self.calls: dict[str, int] = {}
        self._kill: tuple[str, int, bool] | None = None
        self._interlopers: dict[tuple[str, int], Interloper] = {}

    def kill_at(self, method: str, number: int, *, is_done: bool) -> None:
        """End the job at call *number* of *method*, from 1.

        Args:
            method: Name of a port's method.
            number: Which call of it.
            is_done: Whether the call is done, and only what comes after is not.
        """
        self.calls.clear()
        self._kill = (method, number, is_done)

    def let_live(self) -> None:
        """Kill no more."""
        self.calls.clear()
        self._kill = None

    def before(self, method: str, number: int, act: Interloper) -> None:
        """Call *act* before call *number* of *method*."""
        self._interlopers[method, number] = act

    async def through(self, method: str, action: Callable[[], Awaitable[Any]]) -> Any:  # noqa: ANN401 - whatever the port returns
        """Do *action*, unless the job ends before.

        Raises:
            KilledError: The job ends here.
        """
        number = self.calls[method] = self.calls.get(method, 0) + 1
        if (act := self._interlopers.pop((method, number), None)) is not None:
            await act()
        kill = self._kill
        is_hit = kill is not None and kill[:2] == (method, number)
        if is_hit and kill is not None and not kill[2]:
            raise KilledError
        result = await action()
        if is_hit:
            raise KilledError
        return result


class Interrupted:
    """A port whose every call goes through an `Interruption`."""

    def __init__(self, port: object, interruption: Interruption) -> None:
        self._port: Final = port
        self._interruption: Final = interruption

    def __getattr__(self, method: str) -> Callable[..., Awaitable[Any]]:
        """Return the port's method, so that it can be interrupted."""
        called = getattr(self._port, method)

        async def call(*args: object) -> Any:  # noqa: ANN401 - as the port's own
            return await self._interruption.through(method, lambda: called(*args))

        return call
