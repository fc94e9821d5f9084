"""The calls that a gRPC server serves, to be cut when the process can wait for them no longer."""

from __future__ import annotations

import asyncio
from typing import Any, Final
from weakref import WeakKeyDictionary

import grpc

from svc_runtime.interceptors.handler_wrapping import Proceed, ServicerContext, WrappingInterceptor
from svc_runtime.service_error import ServiceStoppingError


class CallsUnderWay(WrappingInterceptor):
    """Knows each call while its handler runs."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._is_cut = asyncio.Event()

    def cut(self) -> int:
        """End every call, and each that yet comes, by `ServiceStoppingError`; return how many."""
        self._is_cut.set()
        for task in self._tasks:
            task.cancel()
        return len(self._tasks)

    async def around(self, proceed: Proceed, context: ServicerContext) -> Any:  # noqa: ANN401  # any RPC's response
        """Return what the call returns.

        Raises:
            ServiceStoppingError: It was cut.
        """
        del context
        task = asyncio.current_task()
        if self._is_cut.is_set() or task is None:
            raise ServiceStoppingError
        self._tasks.add(task)
        try:
            return await proceed()
        except asyncio.CancelledError:
            if not self._is_cut.is_set():
                raise
            task.uncancel()
        finally:
            self._tasks.discard(task)
        raise ServiceStoppingError


_CALLS: Final[WeakKeyDictionary[grpc.aio.Server, CallsUnderWay]] = WeakKeyDictionary()


def assign_calls(server: grpc.aio.Server, calls: CallsUnderWay) -> None:
    """Let `cut_calls` of *server* cut *calls*, which are served by it."""
    _CALLS[server] = calls


def cut_calls(server: grpc.aio.Server) -> int:
    """End the calls that *server* is serving, by an error that says why; return how many."""
    calls = _CALLS.get(server)
    return calls.cut() if calls is not None else 0
