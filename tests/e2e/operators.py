"""What operators do: stop things, let them go on, and limit owners."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import grpc

from keyturn.keyvault.v1 import operator_service_pb2 as operator_pb
from keyturn.keyvault.v1.operator_service_pb2_grpc import OperatorServiceStub
from keyturn_cli.local.layout import AUDITOR, GROUPS, OPERATOR
from tests.e2e.clients import DEADLINE_SECONDS, Clients, new_request_id
from tests.e2e.owners import Owner, sign_in

OperatorRequest: TypeAlias = (
    operator_pb.SuspendRequest
    | operator_pb.ResumeRequest
    | operator_pb.GetControlsRequest
    | operator_pb.SetOwnerLimitsRequest
)


def operator(clients: Clients) -> Owner:
    """Return the stack's operator, signed in anew."""
    return _of_the_stack(clients, OPERATOR)


def auditor(clients: Clients) -> Owner:
    """Return the stack's auditor, signed in anew."""
    return _of_the_stack(clients, AUDITOR)


def _of_the_stack(clients: Clients, person: str) -> Owner:
    admin = clients.stack.openbao.client()
    group = admin.read(f"identity/group/name/{GROUPS[person]}")["data"]
    entity = admin.read(f"identity/entity/name/{person}")["data"]
    assert entity["id"] in group["member_entity_ids"]
    return sign_in(clients, person)


async def operate(
    person: Owner,
    rpc: str,
    request: OperatorRequest,
    *,
    request_id: str | None = None,
    replica: int = 1,
) -> Any:  # noqa: ANN401 - the response of any RPC
    """Make one call of OperatorService as *person*."""
    entries = (
        ("authorization", f"Bearer {person.token}"),
        ("x-keyturn-request-id", request_id or new_request_id()),
    )
    async with person.clients.owner_port(replica=replica) as channel:
        call = getattr(OperatorServiceStub(channel), rpc)
        try:
            answer = await call(request, timeout=DEADLINE_SECONDS, metadata=entries)
        except grpc.aio.AioRpcError as error:
            person.clients.keep(error)
            raise
    person.clients.keep(answer)
    return answer


async def suspend(
    person: Owner, subject: str, *, request_id: str | None = None, replica: int = 1
) -> operator_pb.Suspension:
    """Stop *subject*."""
    request = operator_pb.SuspendRequest(
        suspension=operator_pb.Suspension(subject=subject, reason="a drill")
    )
    answer: operator_pb.SuspendResponse = await operate(
        person, "Suspend", request, request_id=request_id, replica=replica
    )
    return answer.suspension


async def resume(person: Owner, subject: str, *, replica: int = 1) -> bool:
    """Let *subject* go on."""
    request = operator_pb.ResumeRequest(subject=subject)
    answer: operator_pb.ResumeResponse = await operate(person, "Resume", request, replica=replica)
    return answer.was_suspended


async def controls(person: Owner) -> operator_pb.GetControlsResponse:
    """Return what holds."""
    answer: operator_pb.GetControlsResponse = await operate(
        person, "GetControls", operator_pb.GetControlsRequest()
    )
    return answer


@asynccontextmanager
async def suspended(person: Owner, subject: str, *, replica: int = 1) -> AsyncIterator[None]:
    """Have *subject* stopped meanwhile."""
    await suspend(person, subject, replica=replica)
    try:
        yield
    finally:
        assert await resume(person, subject, replica=replica)
