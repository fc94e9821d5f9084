"""What operators stop is refused from the very next request, on every replica."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping

import grpc
import pytest

from keyturn.keyvault.v1 import key_pb2 as key_pb
from keyturn.keyvault.v1 import limits_pb2 as limits_pb
from keyturn.keyvault.v1 import operator_service_pb2 as operator_pb
from keyturn_cli.local.layout import DEMO_APP, OTHER_APP
from keyturn_cli.standin.standin_keys import make_key
from svc_runtime.error_details import reason_of
from tests.e2e.asking import SERVED, ask, ask_often, ask_over_http
from tests.e2e.breaking import logged
from tests.e2e.clients import Clients, new_request_id
from tests.e2e.evidence import upstream_requests, verification_requests
from tests.e2e.operators import (
    OperatorRequest,
    auditor,
    controls,
    operate,
    operator,
    resume,
    suspend,
    suspended,
)
from tests.e2e.owners import OwnedKey, alice, give_key, keep_key, unused_name

GATEWAYS = (1, 2)
# A gateway asks the two key services in turn, so this many requests ask each of them twice.
OFTEN = 4
SUBJECTS: Mapping[str, Callable[[OwnedKey], str]] = {
    "key": lambda key: key.name,
    "owner": lambda _: "users/alice",
    "app": lambda _: DEMO_APP,
    "everything": lambda _: "*",
}


async def _ask_everywhere(clients: Clients, key: OwnedKey) -> set[str]:
    """Ask each gateway often over gRPC, and once over HTTP; return the different outcomes."""
    outcomes = set()
    for gateway in GATEWAYS:
        outcomes |= set(await ask_often(clients, key.name, OFTEN, replica=gateway))
        outcomes.add(await ask_over_http(clients, key.name, replica=gateway))
    return outcomes


@pytest.mark.parametrize("key_service", [1, 2])
@pytest.mark.parametrize("subject", SUBJECTS)
async def test_what_is_suspended_is_refused_everywhere_from_the_next_request(
    clients: Clients, subject: str, key_service: int
) -> None:
    key = await give_key(clients, "suspend")
    olga = operator(clients)
    assert await _ask_everywhere(clients, key) == {SERVED}
    served = len(upstream_requests(clients, key.api_key))

    async with suspended(olga, SUBJECTS[subject](key), replica=key_service):
        assert await _ask_everywhere(clients, key) == {"SUSPENDED"}
        assert len(upstream_requests(clients, key.api_key)) == served

    assert await _ask_everywhere(clients, key) == {SERVED}


async def test_a_stop_leaves_everything_else_alone(clients: Clients) -> None:
    key = await give_key(clients, "not-suspended")
    olga = operator(clients)
    others = [unused_name("other"), "teams/alice", "users/alicia", OTHER_APP, f"{DEMO_APP}2"]
    for other in others:
        await suspend(olga, other)

    assert await _ask_everywhere(clients, key) == {SERVED}
    assert [await resume(olga, other) for other in others] == [True] * len(others)


async def test_a_stop_does_not_tell_whether_a_key_exists(clients: Clients) -> None:
    key = await give_key(clients, "ungranted")
    olga = operator(clients)

    async with suspended(olga, "users/alice"):
        missing = unused_name("missing")
        heard = {await ask(clients, name, app="other") for name in (key.name, missing)}

    assert heard == {"NOT_GRANTED"}


async def test_a_key_is_not_even_verified_while_it_is_suspended(clients: Clients) -> None:
    name, api_key = unused_name("not-verified"), make_key()

    async with suspended(operator(clients), name):
        await alice(clients).create_key(name, api_key)
        for _ in GATEWAYS:  # they go on asking for what is due
            await keep_key(clients, "verified-meanwhile")
        assert verification_requests(clients, api_key) == []
        assert (await alice(clients).get_key(name)).state == key_pb.KEY_STATE_PENDING

    assert (await alice(clients).verified(name)).state == key_pb.KEY_STATE_ACTIVE


async def test_owners_can_still_look_after_a_suspended_key(clients: Clients) -> None:
    key = await give_key(clients, "looked-after")

    async with suspended(operator(clients), key.name):
        assert (await alice(clients).get_key(key.name)).name == key.name
        await alice(clients).delete_key(key.name)


async def test_resuming_a_key_does_not_resume_its_owner(clients: Clients) -> None:
    key = await give_key(clients, "still-suspended")
    olga = operator(clients)

    async with suspended(olga, "users/alice"):
        async with suspended(olga, key.name):
            assert await ask(clients, key.name) == "SUSPENDED"
        assert await ask(clients, key.name) == "SUSPENDED"

    assert await ask(clients, key.name) == SERVED


async def test_the_controls_say_who_stopped_what_and_why(clients: Clients) -> None:
    subject = f"teams/t-{secrets.token_hex(3)}"
    olga, audrey = operator(clients), auditor(clients)

    made = await suspend(olga, subject)
    again = await suspend(olga, subject, replica=2)
    seen = await controls(audrey)

    assert (made.subject, made.reason, made.creator) == (subject, "a drill", "operator")
    assert again == made
    assert made in seen.suspensions
    assert await resume(olga, subject, replica=2)
    assert not await resume(olga, subject)
    assert made not in (await controls(audrey)).suspensions


async def test_limits_of_an_owner_hold_on_every_replica_until_they_are_taken_back(
    clients: Clients,
) -> None:
    owner, olga = f"users/u-{secrets.token_hex(3)}", operator(clients)
    strict = limits_pb.Limits(concurrent_calls=2, usd_per_month="12.50")

    def request(limits: limits_pb.Limits | None) -> operator_pb.SetOwnerLimitsRequest:
        return operator_pb.SetOwnerLimitsRequest(
            owner_limits=operator_pb.OwnerLimits(owner=owner, limits=limits)
        )

    made = await operate(olga, "SetOwnerLimits", request(strict), replica=2)
    seen = await controls(olga)
    back = await operate(olga, "SetOwnerLimits", request(None))

    assert made.owner_limits == operator_pb.OwnerLimits(owner=owner, limits=strict)
    assert made.owner_limits in seen.owner_limits
    assert back.owner_limits.limits == seen.default_owner_limits
    assert owner not in {limited.owner for limited in (await controls(olga)).owner_limits}


async def test_a_stop_is_told_to_security_with_who_made_it(clients: Clients) -> None:
    subject, request_id = f"teams/t-{secrets.token_hex(3)}", new_request_id()
    olga = operator(clients)

    await suspend(olga, subject, request_id=request_id)
    await resume(olga, subject)

    [told] = await logged(clients, "keyvault-svc", event="suspended", request_id=request_id)
    assert (told["owner"], told["caller"], told["level"]) == (subject, "operator", "warning")
    assert "a drill" not in str(told)
    [ended] = await logged(clients, "keyvault-svc", event="resumed", owner=subject)
    assert ended["caller"] == "operator"


@pytest.mark.parametrize("rpc", ["Suspend", "Resume", "SetOwnerLimits"])
async def test_neither_owners_nor_auditors_decide(clients: Clients, rpc: str) -> None:
    requests: Mapping[str, OperatorRequest] = {
        "Suspend": operator_pb.SuspendRequest(
            suspension=operator_pb.Suspension(subject="users/alice", reason="a drill")
        ),
        "Resume": operator_pb.ResumeRequest(subject="users/alice"),
        "SetOwnerLimits": operator_pb.SetOwnerLimitsRequest(
            owner_limits=operator_pb.OwnerLimits(owner="users/alice", limits=limits_pb.Limits())
        ),
    }
    for person in (alice(clients), auditor(clients)):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await operate(person, rpc, requests[rpc])
        assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
        assert reason_of(caught.value) == "NOT_THE_OWNER"


async def test_without_readable_controls_nothing_is_served(clients: Clients) -> None:
    key = await give_key(clients, "unreadable")
    olga, admin = operator(clients), clients.stack.openbao.client()
    path = "keyturn-kv/data/operator/controls"
    await suspend(olga, "teams/before")
    kept = admin.read(path)["data"]
    version = kept["metadata"]["version"]
    admin.write_data(path, data={"data": {"record": "{}"}, "options": {"cas": version}})
    try:
        heard = await _ask_everywhere(clients, key)
    finally:
        restored = {"data": kept["data"], "options": {"cas": version + 1}}
        admin.write_data(path, data=restored)

    assert heard == {"SEALED_KEY_UNUSABLE"}
    assert await resume(olga, "teams/before")
    assert await _ask_everywhere(clients, key) == {SERVED}
