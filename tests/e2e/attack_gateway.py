"""A compromised gateway: it speaks to the key service itself, with the gateway's certificate."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import grpc

from keyturn.keyvault.v1 import key_lease_service_pb2 as lease_pb
from keyturn.keyvault.v1.key_lease_service_pb2_grpc import KeyLeaseServiceStub
from keyturn_cli.local.layout import DEMO_APP, OTHER_APP
from tests.e2e.attack_apps import BAD_INPUT, NOT_GRANTED
from tests.e2e.attack_table import KEY_SERVICE, Attack, Scene, Threat
from tests.e2e.breaking import Verdict, verdict
from tests.e2e.clients import DEADLINE_SECONDS, Clients, new_request_id
from tests.e2e.forgeries import forge
from tests.e2e.owners import OwnedKey

if TYPE_CHECKING:  # a stub file's only
    from keyturn.keyvault.v1.key_lease_service_pb2_grpc import KeyLeaseServiceAsyncStub


@asynccontextmanager
async def stolen_gateway(
    clients: Clients, *, replica: int = 1
) -> AsyncIterator[KeyLeaseServiceAsyncStub]:
    """Connect to a key service as the gateway does, with what lies in the gateway's files."""
    certificate, key = clients.stack.layout.certificate("gateway-svc")
    port = clients.port("keyvault", "gateway", replica)
    async with clients.channel(port, certificate, key) as channel:
        yield KeyLeaseServiceStub(channel)


def lease_request(
    key: str,
    app: str = DEMO_APP,
    **fields: Any,  # noqa: ANN401 - fields of AcquireLeaseRequest
) -> lease_pb.AcquireLeaseRequest:
    """Return what a gateway claims: that *app* asks to chat by *key*."""
    claimed: dict[str, Any] = {
        "key": key,
        "app": app,
        "endpoint": "chat/completions",
        "method": "POST",
        "model": "gpt-4o-mini",
        "source_ip": "127.0.0.1",
        "body_sha256": bytes(32),
        "input_token_bound": 10,
        "output_token_bound": 10,
        **fields,
    }
    return lease_pb.AcquireLeaseRequest(**claimed)


async def acquire(
    clients: Clients, request: lease_pb.AcquireLeaseRequest, *, request_id: str | None = None
) -> lease_pb.AcquireLeaseResponse:
    """Ask for a lease, as a compromised gateway."""
    entries = (("x-keyturn-request-id", request_id or new_request_id()),)
    async with stolen_gateway(clients) as stub:
        try:
            answer: lease_pb.AcquireLeaseResponse = await stub.AcquireLease(
                request, timeout=DEADLINE_SECONDS, metadata=entries
            )
        except grpc.aio.AioRpcError as error:
            clients.keep(error)
            raise
    clients.keep(answer)
    return answer


async def settle(
    clients: Clients,
    *settlements: lease_pb.LeaseSettlement,
    replica: int = 1,
    request_id: str | None = None,
) -> lease_pb.SettleLeaseResponse:
    """Report what became of leases, as a compromised gateway."""
    entries = (("x-keyturn-request-id", request_id or new_request_id()),)
    async with stolen_gateway(clients, replica=replica) as stub:
        answer: lease_pb.SettleLeaseResponse = await stub.SettleLease(
            lease_pb.SettleLeaseRequest(settlements=settlements),
            timeout=DEADLINE_SECONDS,
            metadata=entries,
        )
    return answer


_Make = Callable[[Scene], Awaitable[Verdict]]
_KEY = attrgetter("key")
_GUARDED = attrgetter("guarded")
_PRESENT = attrgetter("present")


def _claim(
    key_of: Callable[[Scene], OwnedKey],
    app: str = DEMO_APP,
    *,
    is_check: bool = False,
    **fields: Callable[[Scene], object],
) -> _Make:
    """Return an attack by a lease, or by the check of one, that *app* is said to ask for."""

    async def make(scene: Scene) -> Verdict:
        told = {name: value(scene) for name, value in fields.items()}
        request = lease_request(key_of(scene).name, app, **told)
        entries = (("x-keyturn-request-id", scene.request_id),)
        async with stolen_gateway(scene.clients) as stub:
            if is_check:
                check = lease_pb.CheckLeaseRequest(lease_id="0" * 32, request=request)
                checked = stub.CheckLease(check, timeout=DEADLINE_SECONDS, metadata=entries)
                return await verdict(scene.clients, checked)
            acquired = stub.AcquireLease(request, timeout=DEADLINE_SECONDS, metadata=entries)
            return await verdict(scene.clients, acquired)

    return make


def _token(variable: str) -> Callable[[Scene], bytes]:
    return lambda scene: scene.clients.env[variable].encode()


def _forged(scene: Scene) -> bytes:
    token = scene.clients.env["KEYTURN_APP_TOKEN"]
    return forge(scene.clients, token, "signed by a stranger").encode()


def _rows() -> list[Attack]:
    row = partial(Attack, Threat.GATEWAY_CLAIMS, recorded_by=(KEY_SERVICE,))
    invalid: Verdict = ("UNAUTHENTICATED", "APP_PROOF_INVALID")
    required: Verdict = ("UNAUTHENTICATED", "APP_PROOF_REQUIRED")
    absent: Verdict = ("PERMISSION_DENIED", "OWNER_NOT_PRESENT")
    rows = []
    for is_check in (False, True):
        what = "the check of a lease" if is_check else "a lease"
        claim = partial(_claim, is_check=is_check)
        app_token, owner_token = _token("KEYTURN_APP_TOKEN"), _token("KEYTURN_OWNER_TOKEN")
        rows += [
            row(f"{what} for an app without a grant", claim(_KEY, OTHER_APP), heard=NOT_GRANTED),
            row(f"{what} without the app's token", claim(_GUARDED, OTHER_APP), heard=required),
            row(
                f"{what} with another app's token",
                claim(_GUARDED, OTHER_APP, app_token=app_token),
                heard=invalid,
            ),
            row(f"{what} with a forged token", claim(_GUARDED, app_token=_forged), heard=invalid),
            row(
                f"{what} with an owner's token",
                claim(_GUARDED, app_token=owner_token),
                heard=invalid,
            ),
            row(
                f"{what} with no token",
                claim(_GUARDED, app_token=lambda _: b"gateway"),
                heard=invalid,
            ),
            row(f"{what} while nobody is present", claim(_PRESENT), heard=absent),
            row(
                f"{what} while somebody else is present",
                claim(_PRESENT, owner_token=lambda scene: scene.bob.token.encode()),
                heard=absent,
            ),
            row(
                f"{what} with an app's token as presence",
                claim(_PRESENT, owner_token=app_token),
                heard=absent,
            ),
        ]
    return rows


# What somebody hopes to be read as the demo app.
ODD_APPS = {
    "capital scheme": DEMO_APP.replace("spiffe", "SPIFFE"),
    "capital domain": DEMO_APP.replace("keyturn", "Keyturn"),
    "escaped letter": DEMO_APP.replace("demo", "%64emo"),
    "escaped slash": DEMO_APP.replace("/app/", "/app%2F"),
    "up and down": DEMO_APP.replace("/app/", "/app/x/../"),
    "port": DEMO_APP.replace("keyturn.local", "keyturn.local:443"),
    "user": DEMO_APP.replace("keyturn.local", "x@keyturn.local"),
    "query": f"{DEMO_APP}?x",
    "fragment": f"{DEMO_APP}#x",
    "slash after": f"{DEMO_APP}/",
    "newline": f"{DEMO_APP}\n",
    "null": f"{DEMO_APP}\0",
    "letter that looks alike": DEMO_APP.replace("demo", "d\u0435mo"),
    "long": DEMO_APP + "a" * 4000,
}


def _name_rows() -> list[Attack]:
    row = partial(Attack, Threat.NAMES, heard=BAD_INPUT, recorded_by=(KEY_SERVICE,))
    return [row(f"an app, {odd}", _claim(_KEY, name)) for odd, name in ODD_APPS.items()]


ATTACKS = [*_rows(), *_name_rows()]
