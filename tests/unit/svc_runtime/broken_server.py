"""Breaks a gRPC server in a process of its own, and prints how many objects that overwrote.

Arguments: `generic` or `registered`, for how its methods are added.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any, Final

import grpc
from grpc._cython import cygrpc  # type: ignore[attr-defined]  # the stubs leave it out
from grpc_health.v1 import health_pb2_grpc  # type: ignore[import-untyped]  # ships none
from grpc_health.v1.health import aio as health_aio  # type: ignore[import-untyped]  # ships none

from svc_runtime.grpc_handlers import generic_only

# As much memory as a request at gRPC's core takes: its object and what the garbage collector adds.
_GC_HEADER: Final = 16
_SIZE: Final = cygrpc.RPCState.__basicsize__ + _GC_HEADER - sys.getsizeof(b"")
_WITNESS: Final = b"\xff" * _SIZE
_PER_TASK: Final = 1000  # that any memory which is freed is soon theirs


async def _overwritten(way: str) -> int:
    witnesses: list[bytes] = []

    def make_task(
        loop: asyncio.AbstractEventLoop,
        coroutine: Coroutine[Any, Any, Any],
        **options: Any,  # noqa: ANN401 - whatever asyncio says
    ) -> asyncio.Task[Any]:
        witnesses.extend(bytes(bytearray(_WITNESS)) for _ in range(_PER_TASK))
        return asyncio.Task(coroutine, loop=loop, **options)

    server = grpc.aio.server()
    health_pb2_grpc.add_HealthServicer_to_server(
        health_aio.HealthServicer(), generic_only(server) if way == "generic" else server
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    not_utf8: Any = b"/test.Echo/\xff"
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        breaking = channel.unary_unary(not_utf8, bytes, bytes)(b"", timeout=20)
        asyncio.get_running_loop().set_task_factory(make_task)  # type: ignore[arg-type]  # its options
        await breaking.code()
    try:
        await server.wait_for_termination(timeout=20)
    except UnicodeDecodeError:
        return sum(witness != _WITNESS for witness in witnesses)
    raise RuntimeError


if __name__ == "__main__":
    sys.stdout.write(f"{asyncio.run(_overwritten(sys.argv[1]))}\n")
