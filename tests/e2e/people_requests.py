"""One request of each RPC that people call, about whatever there is of an owner's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from keyturn.keyvault.v1 import grant_pb2 as grant_pb
from keyturn.keyvault.v1 import grant_request_service_pb2 as requests_pb
from keyturn.keyvault.v1 import grant_service_pb2 as grants_pb
from keyturn.keyvault.v1 import key_pb2 as key_pb
from keyturn.keyvault.v1 import key_service_pb2 as keys_pb
from keyturn.keyvault.v1 import operator_service_pb2 as operator_pb
from keyturn.keyvault.v1 import owner_service_pb2 as owner_pb
from keyturn.keyvault.v1 import usage_service_pb2 as usage_pb
from keyturn_cli.local.layout import DEMO_APP
from keyturn_cli.standin.standin_keys import make_key
from tests.e2e.breaking import Verdict, verdict
from tests.e2e.clients import DEADLINE_SECONDS, new_request_id
from tests.e2e.owners import Owner

_REQUEST_ID = "0" * 16


@dataclass(frozen=True)
class Place:
    """Whose things a person is to touch.

    Attributes:
        key_id: Of a key of the owner's, which need not exist.
    """

    owner: str
    key_id: str = "openai"

    @property
    def key(self) -> str:
        return f"{self.owner}/keys/{self.key_id}"

    @property
    def grant(self) -> str:
        return f"{self.key}/grants/{_REQUEST_ID}"

    @property
    def grant_request(self) -> str:
        return f"{self.key}/grantRequests/{_REQUEST_ID}"


def _grant(name: str = "") -> grant_pb.Grant:
    return grant_pb.Grant(name=name, app=DEMO_APP, models=["*"], endpoints=["*"])


# Requests that break no rule, so that what is answered is about the person.
REQUESTS: Mapping[str, Callable[[Place], Message]] = {
    "CreateKey": lambda p: keys_pb.CreateKeyRequest(name=p.key, api_key=make_key().expose()),
    "GetKey": lambda p: keys_pb.GetKeyRequest(name=p.key),
    "ListKeys": lambda p: keys_pb.ListKeysRequest(parent=p.owner),
    "RotateKey": lambda p: keys_pb.RotateKeyRequest(name=p.key, api_key=make_key().expose()),
    "UpdateKey": lambda p: keys_pb.UpdateKeyRequest(
        key=key_pb.Key(name=p.key), update_mask=FieldMask(paths=["expire_time"])
    ),
    "UndoRotation": lambda p: keys_pb.UndoRotationRequest(name=p.key),
    "VerifyKey": lambda p: keys_pb.VerifyKeyRequest(name=p.key),
    "DisableKey": lambda p: keys_pb.DisableKeyRequest(name=p.key),
    "EnableKey": lambda p: keys_pb.EnableKeyRequest(name=p.key),
    "DeleteKey": lambda p: keys_pb.DeleteKeyRequest(name=p.key),
    "CreateGrant": lambda p: grants_pb.CreateGrantRequest(parent=p.key, grant=_grant()),
    "UpdateGrant": lambda p: grants_pb.UpdateGrantRequest(
        grant=_grant(p.grant), update_mask=FieldMask(paths=["models"])
    ),
    "GetConsentText": lambda _: grants_pb.GetConsentTextRequest(),
    "ListGrants": lambda p: grants_pb.ListGrantsRequest(parent=p.key),
    "RevokeGrant": lambda p: grants_pb.RevokeGrantRequest(name=p.grant),
    "CreateGrantRequest": lambda p: requests_pb.CreateGrantRequestRequest(
        parent=p.key,
        grant_request=requests_pb.GrantRequest(grant=_grant(), reason="for the matrix"),
    ),
    "GetGrantRequest": lambda p: requests_pb.GetGrantRequestRequest(name=p.grant_request),
    "ListGrantRequests": lambda p: requests_pb.ListGrantRequestsRequest(parent=p.owner),
    "ApproveGrantRequest": lambda p: requests_pb.ApproveGrantRequestRequest(name=p.grant_request),
    "DeclineGrantRequest": lambda p: requests_pb.DeclineGrantRequestRequest(name=p.grant_request),
    "GetUsage": lambda p: usage_pb.GetUsageRequest(name=p.owner),
    "ExportOwner": lambda p: owner_pb.ExportOwnerRequest(name=p.owner),
    "EraseOwner": lambda p: owner_pb.EraseOwnerRequest(name=p.owner),
    "Suspend": lambda p: operator_pb.SuspendRequest(
        suspension=operator_pb.Suspension(subject=p.owner, reason="for the matrix")
    ),
    "Resume": lambda p: operator_pb.ResumeRequest(subject=p.owner),
    "GetControls": lambda _: operator_pb.GetControlsRequest(),
    "SetOwnerLimits": lambda p: operator_pb.SetOwnerLimitsRequest(
        owner_limits=operator_pb.OwnerLimits(owner=p.owner)
    ),
}


async def call_as(
    person: Owner, method: str, request: Message, *, request_id: str | None = None
) -> Verdict:
    """Make one call of *method*, by its full path, as *person*."""
    entries = (
        ("authorization", f"Bearer {person.token}"),
        ("x-keyturn-request-id", request_id or new_request_id()),
    )
    async with person.clients.owner_port(replica=person.replica) as channel:
        call = channel.unary_unary(method, bytes, bytes)
        raw = request.SerializeToString()
        return await verdict(person.clients, call(raw, timeout=DEADLINE_SECONDS, metadata=entries))
