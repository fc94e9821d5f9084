"""Asks processes on their health ports whether they may get traffic, as a probe does."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]  # ships none

_SERVING: Final = "serving"
_SILENT: Final = "no answer"


@dataclass(frozen=True, slots=True)
class HealthQuestion:
    """What to ask whom.

    Attributes:
        address: `host:port` of a health port.
        service_name: Full name of a gRPC service; empty for whether the process is alive.
    """

    address: str
    service_name: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `host:port` or `host:port/service`.

        Raises:
            ValueError: It is neither.
        """
        address, _, service_name = text.partition("/")
        host, _, port = address.rpartition(":")
        if not host or not port.isdecimal():
            raise ValueError("must be HOST:PORT or HOST:PORT/SERVICE")
        return cls(address, service_name)

    def __str__(self) -> str:
        return f"{self.address}/{self.service_name}" if self.service_name else self.address


@dataclass(frozen=True, slots=True)
class HealthFinding:
    """What came of a question; `is_serving`, or the last that was heard."""

    question: HealthQuestion
    status: str

    @property
    def is_serving(self) -> bool:
        """Whether the answer was that it may get traffic."""
        return self.status == _SERVING


async def ask_health(
    questions: Sequence[HealthQuestion], wait_seconds: float
) -> list[HealthFinding]:
    """Ask all at the same time, and wait until each is serving, for *wait_seconds* at most."""
    return list(
        await asyncio.gather(*(_until_serving(question, wait_seconds) for question in questions))
    )


async def _until_serving(question: HealthQuestion, wait_seconds: float) -> HealthFinding:
    status = _SILENT
    # Health is served in plaintext alone, since probes have no certificate; nothing secret passes.
    async with grpc.aio.insecure_channel(question.address) as channel:  # noqa: TID251 - see above
        call = health_pb2_grpc.HealthStub(channel).Watch(
            health_pb2.HealthCheckRequest(service=question.service_name),
            timeout=wait_seconds,
            wait_for_ready=True,
        )
        try:
            async for answer in call:
                name = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
                status = name.lower().replace("_", " ")
                if status == _SERVING:
                    break
        except grpc.aio.AioRpcError:
            pass  # the time is up, or the process went: what it said last is what is told
        finally:
            call.cancel()
    return HealthFinding(question, status)
