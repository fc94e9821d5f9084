"""What people do: sign in, own keys, and grant them."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.message import Message

from keyturn.keyvault.v1 import grant_pb2 as grant_pb
from keyturn.keyvault.v1 import grant_request_service_pb2 as request_pb
from keyturn.keyvault.v1 import grant_service_pb2 as grants_pb
from keyturn.keyvault.v1 import key_pb2 as key_pb
from keyturn.keyvault.v1 import key_service_pb2 as keys_pb
from keyturn.keyvault.v1 import owner_service_pb2 as owner_pb
from keyturn.keyvault.v1 import usage_service_pb2 as usage_pb
from keyturn.keyvault.v1.grant_request_service_pb2_grpc import GrantRequestServiceStub
from keyturn.keyvault.v1.grant_service_pb2_grpc import GrantServiceStub
from keyturn.keyvault.v1.key_service_pb2_grpc import KeyServiceStub
from keyturn.keyvault.v1.owner_service_pb2_grpc import OwnerServiceStub
from keyturn.keyvault.v1.usage_service_pb2_grpc import UsageServiceStub
from keyturn_cli.local.layout import DEMO_APP, OWNER
from keyturn_cli.standin.standin_keys import KeyKind, make_key
from keyvault_svc.consent_file import load_consent_text
from svc_runtime.secret_bytes import SecretBytes
from tests.e2e.clients import DEADLINE_SECONDS, Clients, key_name, new_request_id

_PEOPLE_MOUNT = "keyturn-people"
_STUBS = {
    method.name: stub
    for service, stub in (
        (keys_pb.DESCRIPTOR.services_by_name["KeyService"], KeyServiceStub),
        (grants_pb.DESCRIPTOR.services_by_name["GrantService"], GrantServiceStub),
        (request_pb.DESCRIPTOR.services_by_name["GrantRequestService"], GrantRequestServiceStub),
        (usage_pb.DESCRIPTOR.services_by_name["UsageService"], UsageServiceStub),
        (owner_pb.DESCRIPTOR.services_by_name["OwnerService"], OwnerServiceStub),
    )
    for method in service.methods
}
_POLL_SECONDS = 0.05

CONSENT_TEXT_VERSION = load_consent_text(None).version
"""What owners of the stack agree to."""


@dataclass(frozen=True)
class Owner:
    """A person who is signed in, at the owner port of one key service."""

    clients: Clients
    token: str = field(repr=False)
    replica: int = 1

    async def call(
        self,
        rpc: str,
        request: Message,
        *,
        request_id: str | None = None,
        timeout: float | None = DEADLINE_SECONDS,  # noqa: ASYNC109 - gRPC's own, not asyncio's
    ) -> Any:  # noqa: ANN401 - the response of any RPC
        """Make one call, by the name of its method, and put what comes back into the transcript."""
        entries = (
            ("authorization", f"Bearer {self.token}"),
            ("x-keyturn-request-id", request_id or new_request_id()),
        )
        async with self.clients.owner_port(replica=self.replica) as channel:
            stub = _STUBS[rpc](channel)
            try:
                response = await getattr(stub, rpc)(request, timeout=timeout, metadata=entries)
            except grpc.aio.AioRpcError as error:
                self.clients.keep(error)
                raise
        self.clients.keep(response)
        return response

    async def create_key(
        self,
        name: str,
        api_key: SecretBytes,
        **fields: Any,  # noqa: ANN401 - fields of CreateKeyRequest
    ) -> key_pb.Key:
        """Give a new key into custody; it is pending at first."""
        request = keys_pb.CreateKeyRequest(name=name, api_key=api_key.expose(), **fields)
        response: keys_pb.CreateKeyResponse = await self.call("CreateKey", request)
        self.clients.made_keys.add(name)
        return response.key

    async def verified(self, name: str) -> key_pb.Key:
        """Return a key's record once nothing of it waits for a verification any more."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while True:
                key = await self.get_key(name)
                newest = key.incoming if key.HasField("incoming") else key
                if newest.state != key_pb.KEY_STATE_PENDING or newest.HasField("verification"):
                    return key
                await asyncio.sleep(_POLL_SECONDS)

    async def get_key(self, name: str) -> key_pb.Key:
        """Return a key's record."""
        request = keys_pb.GetKeyRequest(name=name)
        response: keys_pb.GetKeyResponse = await self.call("GetKey", request)
        return response.key

    async def list_keys(self, parent: str) -> list[str]:
        """Return the names of an owner's keys."""
        response = await self.call("ListKeys", keys_pb.ListKeysRequest(parent=parent))
        return [key.name for key in response.keys]

    async def rotate_key(
        self,
        name: str,
        api_key: SecretBytes,
        **fields: Any,  # noqa: ANN401 - fields of RotateKeyRequest
    ) -> key_pb.Key:
        """Bring a new plaintext; it is incoming at first."""
        request = keys_pb.RotateKeyRequest(name=name, api_key=api_key.expose(), **fields)
        response: keys_pb.RotateKeyResponse = await self.call("RotateKey", request)
        return response.key

    async def delete_key(self, name: str) -> None:
        """Destroy a key."""
        await self.call("DeleteKey", keys_pb.DeleteKeyRequest(name=name))
        self.clients.made_keys.discard(name)

    async def create_grant(
        self,
        key: str,
        app: str = DEMO_APP,
        models: Sequence[str] = ("*",),
        endpoints: Sequence[str] = ("*",),
        **terms: Any,  # noqa: ANN401 - fields of Grant
    ) -> grant_pb.Grant:
        """Grant *app* the use of *key*, without limits unless *terms* say some."""
        grant = grant_pb.Grant(app=app, models=models, endpoints=endpoints, **terms)
        request = grants_pb.CreateGrantRequest(
            parent=key, grant=grant, consent_text_version=CONSENT_TEXT_VERSION
        )
        response: grants_pb.CreateGrantResponse = await self.call("CreateGrant", request)
        return response.grant

    async def list_grants(self, key: str) -> list[grant_pb.Grant]:
        """Return a key's grants."""
        response = await self.call("ListGrants", grants_pb.ListGrantsRequest(parent=key))
        return list(response.grants)

    async def revoke_grant(self, name: str) -> grant_pb.Grant:
        """Withdraw a grant."""
        request = grants_pb.RevokeGrantRequest(name=name)
        response: grants_pb.RevokeGrantResponse = await self.call("RevokeGrant", request)
        return response.grant


@dataclass(frozen=True)
class OwnedKey:
    """A key of a test's own: its name, and what only its owner and OpenAI know."""

    name: str
    api_key: SecretBytes


def alice(clients: Clients, *, replica: int = 1) -> Owner:
    """Return the demo owner."""
    return Owner(clients, clients.env["KEYTURN_OWNER_TOKEN"], replica)


async def delete_made_keys(clients: Clients) -> None:
    """Destroy what tests gave into alice's custody, as far as they left it there."""
    owner = alice(clients)
    left = clients.made_keys.intersection(await owner.list_keys(f"users/{OWNER}"))
    await asyncio.gather(*(owner.delete_key(name) for name in left))
    clients.made_keys.clear()


async def give_key(
    clients: Clients,
    use: str,
    kind: KeyKind = KeyKind.WORKING,
    **terms: Any,  # noqa: ANN401 - fields of Grant
) -> OwnedKey:
    """Make a key of alice's for *use*, granted to the demo app unless *terms* say otherwise."""
    key = await keep_key(clients, use, kind)
    await alice(clients).create_grant(key.name, **terms)
    return key


async def keep_key(clients: Clients, use: str, kind: KeyKind = KeyKind.WORKING) -> OwnedKey:
    """Make a key of alice's for *use*, verified, and granted to nobody."""
    key = OwnedKey(unused_name(use), make_key(kind))
    await alice(clients).create_key(key.name, key.api_key)
    await alice(clients).verified(key.name)
    return key


def unused_name(use: str) -> str:
    """Return a name for a key of alice's that no other test uses."""
    return key_name(f"{use}-{secrets.token_hex(4)}")


def sign_in(clients: Clients, person: str) -> Owner:
    """Return *person*, made if need be, as a member of the teams made before."""
    admin = clients.stack.openbao.client()
    entity_id = _entity_id(clients, person)
    password = secrets.token_urlsafe(24)
    admin.write_data(
        f"auth/{_PEOPLE_MOUNT}/users/{person}",
        data={"password": password, "token_policies": ["keyturn-owner"], "token_ttl": "5m"},
    )
    accessor = admin.read("sys/auth")["data"][f"{_PEOPLE_MOUNT}/"]["accessor"]
    admin.write_data(
        "identity/entity-alias",
        data={"name": person, "canonical_id": entity_id, "mount_accessor": accessor},
    )
    visitor = clients.stack.openbao.client()
    visitor.token = ""
    login = visitor.write_data(f"auth/{_PEOPLE_MOUNT}/login/{person}", data={"password": password})
    visitor.token = login["auth"]["client_token"]
    token = visitor.read("identity/oidc/token/keyturn-owner")["data"]["token"]
    return Owner(clients, token)


def make_team(clients: Clients, team: str, *people: str) -> None:
    """Make a team of *people*, who are its members from their next sign-in on."""
    members = [_entity_id(clients, person) for person in people]
    clients.stack.openbao.client().write_data(
        f"identity/group/name/{team}", data={"member_entity_ids": members}
    )


def _entity_id(clients: Clients, person: str) -> str:
    admin = clients.stack.openbao.client()
    admin.write_data(f"identity/entity/name/{person}", data={"disabled": False})
    return str(admin.read(f"identity/entity/name/{person}")["data"]["id"])
