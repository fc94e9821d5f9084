"""A day of a real local stack, with every kind of use, as its logs tell it."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import grpc

from keyturn.gateway.v1 import chat_completion_service_pb2 as chat_service_pb
from keyturn.gateway.v1 import pass_through_service_pb2 as pass_pb
from keyturn.gateway.v1.chat_completion_service_pb2_grpc import ChatCompletionServiceStub
from keyturn.gateway.v1.pass_through_service_pb2_grpc import PassThroughServiceStub
from keyturn.keyvault.v1 import grant_pb2 as grant_pb
from keyturn.keyvault.v1 import grant_request_service_pb2 as request_pb
from keyturn.keyvault.v1 import key_lease_service_pb2 as lease_pb
from keyturn.keyvault.v1 import key_pb2 as key_pb
from keyturn.keyvault.v1 import key_service_pb2 as keys_pb
from keyturn.keyvault.v1 import limits_pb2 as limits_pb
from keyturn.keyvault.v1 import operator_service_pb2 as operator_pb
from keyturn.keyvault.v1 import owner_service_pb2 as owner_pb
from keyturn_cli.audit.options import SECOND_US, Window
from keyturn_cli.audit.signing_keys import SigningKey, read_signing_keys
from keyturn_cli.local.layout import DEMO_APP, OTHER_APP, OWNER
from keyturn_cli.local.stack import LocalStack
from keyturn_cli.local.upstream import Upstream
from keyturn_cli.standin.standin_keys import KeyKind, make_key
from tests.e2e.asking import SERVED, ask, ask_often, ask_over_http
from tests.e2e.attack_gateway import lease_request, stolen_gateway
from tests.e2e.clients import DEADLINE_SECONDS, Clients, metadata, new_request_id, parameters
from tests.e2e.operators import operate, operator, suspended
from tests.e2e.owners import (
    CONSENT_TEXT_VERSION,
    Owner,
    alice,
    give_key,
    keep_key,
    sign_in,
    unused_name,
)

_REALTIME = "/v1/realtime?model=gpt-realtime"
_JOBS = (("remind",), ("rewrap", "--grace", "1", "--rate", "100"))


@dataclass
class Day:
    """What the logs hold, without newlines, and when administrators were at work.

    Attributes:
        vault: Vault's audit log.
        services: Each service's log by its name.
        windows: From before the stack started until people could sign in.
        signing_keys: What checks the signatures of the services' streams.
    """

    vault: list[bytes] = field(default_factory=list)
    services: dict[str, list[bytes]] = field(default_factory=dict)
    windows: list[Window] = field(default_factory=list)
    signing_keys: tuple[SigningKey, ...] = ()


@contextmanager
def lived_day(home: Path) -> Iterator[tuple[Day, Clients]]:
    """Live a day in a stack of its own in *home*; its services have ended, its Vault runs on."""
    start_us = _now_us()
    with LocalStack(home, Upstream(None, make_key(), "standin")) as stack:
        clients = Clients(stack)
        operating, bob = operator(clients), sign_in(clients, "bob")
        window = Window(start_us, _now_us())
        asyncio.run(use_everything(clients, operating, bob))
        for name in ("gateway-svc", "keyvault-svc"):
            stack.services[name].stop()
        logs = stack.layout.logs_dir
        services = {
            name: (logs / f"{name}.log").read_bytes().splitlines()
            for name in ("gateway-svc", "keyvault-svc")
        }
        vault = stack.openbao.audit_log.read_bytes().splitlines()
        keys = read_signing_keys(stack.layout.signing_keys_file)
        yield Day(vault, services, [window], keys), clients


async def use_everything(clients: Clients, operating: Owner, bob: Owner) -> None:
    """Do what owners, apps, operators and jobs do."""
    key = await give_key(clients, "day")
    await _call(clients, key.name)
    await _be_refused(clients, key.name)
    await _hand_over_wrapped(clients)
    await _talk(clients, key.name)
    await _own(clients, bob)
    await _operate(clients, operating, key.name)
    for job in _JOBS:
        await _run(clients, *job)
    assert await ask(clients, key.name) == SERVED


async def _call(clients: Clients, key: str) -> None:
    assert set(await ask_often(clients, key, 12)) == {SERVED}
    assert await ask_over_http(clients, key) == SERVED
    request_id = new_request_id()  # apps choose request ids, and may choose one twice
    served = await asyncio.gather(*(ask(clients, key, request_id=request_id) for _ in range(3)))
    assert set(served) == {SERVED}
    async with clients.gateway() as channel:
        stream = ChatCompletionServiceStub(channel).StreamChatCompletion(
            chat_service_pb.StreamChatCompletionRequest(parameters=parameters()),
            timeout=DEADLINE_SECONDS,
            metadata=metadata(key),
        )
        assert [response async for response in stream]
        request = pass_pb.UpstreamRequest(method="GET", path="models")
        await PassThroughServiceStub(channel).Call(
            pass_pb.CallRequest(request=request), timeout=DEADLINE_SECONDS, metadata=metadata(key)
        )


async def _be_refused(clients: Clients, key: str) -> None:
    assert await ask(clients, key, app=OTHER_APP.rpartition("/")[2]) == "NOT_GRANTED"
    assert await ask(clients, unused_name("nothing")) == "NOT_GRANTED"
    assert await ask(clients, "users/../keys/x") == "INVALID_ARGUMENT"
    await keep_key(clients, "rejected", KeyKind.REVOKED)
    rejected = await give_key(clients, "soon-rejected", KeyKind.SOONREVOKED)
    assert await ask(clients, rejected.name) == "KEY_REJECTED_UPSTREAM"
    limited = await give_key(clients, "limited", limits=limits_pb.Limits(requests_per_minute=1))
    assert SERVED in await ask_often(clients, limited.name, 3)


async def _hand_over_wrapped(clients: Clients) -> None:
    name = unused_name("high")
    await alice(clients).create_key(name, make_key(), assurance=key_pb.KEY_ASSURANCE_HIGH)
    await alice(clients).verified(name)
    await alice(clients).create_grant(name)
    assert await ask(clients, name) == SERVED


async def _talk(clients: Clients, key: str) -> None:
    """Open a WebSocket, and check a lease as a gateway does for one that stays open."""
    headers = {"x-keyturn-key": key}
    async with (
        clients.http(token=clients.env["KEYTURN_APP_TOKEN"]) as http,
        http.ws_connect(_REALTIME, headers=headers) as socket,
    ):
        assert (await socket.receive_json())["type"] == "session.created"
    async with stolen_gateway(clients) as stub:
        check = lease_pb.CheckLeaseRequest(lease_id="0" * 32, request=lease_request(key))
        await stub.CheckLease(
            check,
            timeout=DEADLINE_SECONDS,
            metadata=(("x-keyturn-request-id", new_request_id()),),
        )


async def _own(clients: Clients, bob: Owner) -> None:
    owner = alice(clients)
    key = await give_key(clients, "owned")
    await owner.rotate_key(key.name, make_key())
    await owner.verified(key.name)
    await owner.call("VerifyKey", keys_pb.VerifyKeyRequest(name=key.name))
    await owner.call("DisableKey", keys_pb.DisableKeyRequest(name=key.name))
    assert await ask(clients, key.name) == "KEY_DISABLED"
    await owner.call("EnableKey", keys_pb.EnableKeyRequest(name=key.name))
    await owner.verified(key.name)
    await owner.list_keys(f"users/{OWNER}")
    [grant] = await owner.list_grants(key.name)
    await owner.revoke_grant(grant.name)
    asked = request_pb.CreateGrantRequestRequest(
        parent=key.name,
        grant_request=request_pb.GrantRequest(
            grant=grant_pb.Grant(app=DEMO_APP, models=["*"], endpoints=["*"]),
            reason="Answers questions of a day",
        ),
    )
    answer = await bob.call("CreateGrantRequest", asked)
    approval = request_pb.ApproveGrantRequestRequest(
        name=answer.grant_request.name, consent_text_version=CONSENT_TEXT_VERSION
    )
    await owner.call("ApproveGrantRequest", approval)
    assert await ask(clients, key.name) == SERVED
    await owner.call("ExportOwner", owner_pb.ExportOwnerRequest(name=f"users/{OWNER}"))
    await owner.delete_key(key.name)
    with contextlib.suppress(grpc.aio.AioRpcError):
        await bob.get_key(key.name)


async def _operate(clients: Clients, operating: Owner, key: str) -> None:
    async with suspended(operating, key):
        assert await ask(clients, key) == "SUSPENDED"
    await operate(operating, "GetControls", operator_pb.GetControlsRequest())


async def _run(clients: Clients, *job: str) -> None:
    settings = clients.stack.layout.service_settings("keyvault-svc")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "keyvault_svc", job[0], "--config", str(settings), *job[1:]),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert await process.wait() == 0


def _now_us() -> int:
    return int(datetime.now(UTC).timestamp() * SECOND_US)
