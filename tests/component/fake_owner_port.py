"""The key service's owner port as a fake: it answers from memory, with a gateway of its own."""

# ruff: noqa: N802 - the names of RPC methods are fixed by the proto

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NoReturn

import grpc

from keyturn.keyvault.v1 import grant_pb2 as grant_pb
from keyturn.keyvault.v1 import grant_service_pb2 as grants_pb
from keyturn.keyvault.v1 import grant_service_pb2_grpc as grants_grpc
from keyturn.keyvault.v1 import key_pb2 as key_pb
from keyturn.keyvault.v1 import key_service_pb2 as keys_pb
from keyturn.keyvault.v1 import key_service_pb2_grpc as keys_grpc
from keyturn.keyvault.v1 import owner_service_pb2 as owners_pb
from keyturn.keyvault.v1 import owner_service_pb2_grpc as owners_grpc
from svc_runtime.error_details import STATUS_DETAILS_KEY, status_of
from svc_runtime.service_error import ServiceError

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
RETENTION = timedelta(days=30)

_STATE_AFTER = {
    key_pb.VERIFICATION_OUTCOME_VERIFIED: key_pb.KEY_STATE_ACTIVE,
    key_pb.VERIFICATION_OUTCOME_WRONG_KEY: key_pb.KEY_STATE_REJECTED,
}


@dataclass
class Call:
    """What a fake service saw of one call."""

    metadata: dict[str, str]
    seconds_left: float
    request: object = field(repr=False)


class FakeOwnerPort(
    keys_grpc.KeyServiceServicer,
    grants_grpc.GrantServiceServicer,
    owners_grpc.OwnerServiceServicer,
):
    """Answers from memory, or with `failure` and its status code.

    Attributes:
        outcome: What the next GetKey finds at OpenAI, where a verification is queued; None while
            no gateway comes for it.
    """

    def __init__(self) -> None:
        self.failure: tuple[ServiceError, grpc.StatusCode] | None = None
        self.fails_after_pieces = False
        self.outcome: key_pb.VerificationOutcome.ValueType | None = (
            key_pb.VERIFICATION_OUTCOME_VERIFIED
        )
        self.calls: list[Call] = []
        self.keys: dict[str, key_pb.Key] = {}
        self.api_keys: list[bytes] = []
        self.grants: list[grant_pb.Grant] = []
        self._queued: set[str] = set()
        self._verifications = 0

    def enter(self, request: object, context: grpc.ServicerContext) -> None:
        """Note a call; fail it if calls are to fail."""
        metadata = {k: v for k, v in context.invocation_metadata() if isinstance(v, str)}
        self.calls.append(Call(metadata, context.time_remaining() or 0.0, request))
        if self.failure is not None and not self.fails_after_pieces:
            self.fail(context)

    def fail(self, context: grpc.ServicerContext) -> NoReturn:
        """End a call with `failure`."""
        assert self.failure is not None
        self.refuse(context, *self.failure)

    def refuse(
        self, context: grpc.ServicerContext, error: ServiceError, code: grpc.StatusCode
    ) -> NoReturn:
        """End a call with *error*."""
        request_id = self.calls[-1].metadata["x-keyturn-request-id"]
        status = status_of(error, code, domain="fake.keyturn", request_id=request_id)
        context.set_trailing_metadata(((STATUS_DETAILS_KEY, status.SerializeToString()),))
        context.abort(code, status.message)

    def _conclude(self, key: key_pb.Key) -> None:
        """Do what a gateway's report does to *key*."""
        if key.name not in self._queued or self.outcome is None:
            return
        self._queued.discard(key.name)
        tried = key.incoming if key.HasField("incoming") else key
        self._verifications += 1
        tried.verification.outcome = self.outcome
        tried.verification.verify_time.FromDatetime(START + timedelta(hours=self._verifications))
        tried.state = _STATE_AFTER.get(self.outcome, tried.state)
        if key.HasField("incoming") and tried.state == key_pb.KEY_STATE_ACTIVE:
            key.retiring.key_version = key.key_version
            key.retiring.state = key_pb.KEY_STATE_RETIRING
            key.retiring.destroy_time.FromDatetime(START + timedelta(days=1))
            key.key_version = tried.key_version
            key.verification.CopyFrom(tried.verification)
            key.ClearField("incoming")

    def _put(self, name: str, api_key: bytes, version: int) -> key_pb.Key:
        """Hold a key that serves."""
        self.api_keys.append(api_key)
        key = key_pb.Key(
            name=name,
            state=key_pb.KEY_STATE_ACTIVE,
            key_version=version,
            creator="alice",
            assurance=key_pb.KEY_ASSURANCE_STANDARD,
        )
        key.create_time.FromDatetime(START)
        key.rotate_time.FromDatetime(START)
        self.keys[name] = key
        return key

    def CreateKey(
        self, request: keys_pb.CreateKeyRequest, context: grpc.ServicerContext
    ) -> keys_pb.CreateKeyResponse:
        self.enter(request, context)
        key = self._put(request.name, request.api_key, 1)
        key.state = key_pb.KEY_STATE_PENDING
        key.assurance = request.assurance or key.assurance
        if request.HasField("expire_time"):
            key.expire_time.CopyFrom(request.expire_time)
        self._queued.add(request.name)
        return keys_pb.CreateKeyResponse(key=key)

    def RotateKey(
        self, request: keys_pb.RotateKeyRequest, context: grpc.ServicerContext
    ) -> keys_pb.RotateKeyResponse:
        self.enter(request, context)
        self.api_keys.append(request.api_key)
        key = self.keys[request.name]
        key.incoming.key_version = key.key_version + 1
        key.incoming.state = key_pb.KEY_STATE_PENDING
        key.incoming.create_time.FromDatetime(START)
        self._queued.add(request.name)
        return keys_pb.RotateKeyResponse(key=key)

    def UndoRotation(
        self, request: keys_pb.UndoRotationRequest, context: grpc.ServicerContext
    ) -> keys_pb.UndoRotationResponse:
        self.enter(request, context)
        key = self.keys[request.name]
        if key.HasField("incoming"):
            key.ClearField("incoming")
        elif request.key_version == key.key_version:
            key.key_version = key.retiring.key_version
            key.ClearField("retiring")
        return keys_pb.UndoRotationResponse(key=key)

    def VerifyKey(
        self, request: keys_pb.VerifyKeyRequest, context: grpc.ServicerContext
    ) -> keys_pb.VerifyKeyResponse:
        self.enter(request, context)
        self._queued.add(request.name)
        return keys_pb.VerifyKeyResponse(key=self.keys[request.name])

    def DisableKey(
        self, request: keys_pb.DisableKeyRequest, context: grpc.ServicerContext
    ) -> keys_pb.DisableKeyResponse:
        self.enter(request, context)
        key = self.keys[request.name]
        key.state = key_pb.KEY_STATE_DISABLED
        return keys_pb.DisableKeyResponse(key=key)

    def EnableKey(
        self, request: keys_pb.EnableKeyRequest, context: grpc.ServicerContext
    ) -> keys_pb.EnableKeyResponse:
        self.enter(request, context)
        key = self.keys[request.name]
        if key.state == key_pb.KEY_STATE_DISABLED:
            key.state = key_pb.KEY_STATE_PENDING
            key.ClearField("verification")
            self._queued.add(request.name)
        return keys_pb.EnableKeyResponse(key=key)

    def UpdateKey(
        self, request: keys_pb.UpdateKeyRequest, context: grpc.ServicerContext
    ) -> keys_pb.UpdateKeyResponse:
        self.enter(request, context)
        key = self.keys[request.key.name]
        if "expire_time" in request.update_mask.paths:
            key.ClearField("expire_time")
        if "limits" in request.update_mask.paths:
            key.ClearField("limits")
        key.MergeFrom(request.key)
        return keys_pb.UpdateKeyResponse(key=key)

    def GetKey(
        self, request: keys_pb.GetKeyRequest, context: grpc.ServicerContext
    ) -> keys_pb.GetKeyResponse:
        self.enter(request, context)
        key = self.keys[request.name]
        self._conclude(key)
        return keys_pb.GetKeyResponse(key=key)

    def ListKeys(
        self, request: keys_pb.ListKeysRequest, context: grpc.ServicerContext
    ) -> keys_pb.ListKeysResponse:
        self.enter(request, context)
        names = self._names_of(request.parent)
        return keys_pb.ListKeysResponse(keys=[self.keys[name] for name in names])

    def DeleteKey(
        self, request: keys_pb.DeleteKeyRequest, context: grpc.ServicerContext
    ) -> keys_pb.DeleteKeyResponse:
        self.enter(request, context)
        return keys_pb.DeleteKeyResponse(proof=self._destroy(request.name))

    def ListGrants(
        self, request: grants_pb.ListGrantsRequest, context: grpc.ServicerContext
    ) -> grants_pb.ListGrantsResponse:
        self.enter(request, context)
        return grants_pb.ListGrantsResponse(grants=self.grants)

    def RevokeGrant(
        self, request: grants_pb.RevokeGrantRequest, context: grpc.ServicerContext
    ) -> grants_pb.RevokeGrantResponse:
        self.enter(request, context)
        grant = next(grant for grant in self.grants if grant.name == request.name)
        grant.revoke_time.FromDatetime(START)
        return grants_pb.RevokeGrantResponse(grant=grant)

    def ExportOwner(
        self, request: owners_pb.ExportOwnerRequest, context: grpc.ServicerContext
    ) -> owners_pb.ExportOwnerResponse:
        self.enter(request, context)
        names = self._names_of(request.name)
        keys = [owners_pb.ExportedKey(key=self.keys[n], grants=self.grants) for n in names]
        answer = owners_pb.ExportOwnerResponse(
            name=request.name, keys=keys, retention_notices=_notices()
        )
        answer.export_time.FromDatetime(START)
        return answer

    def EraseOwner(
        self, request: owners_pb.EraseOwnerRequest, context: grpc.ServicerContext
    ) -> owners_pb.EraseOwnerResponse:
        self.enter(request, context)
        proofs = [self._destroy(name) for name in self._names_of(request.name)]
        return owners_pb.EraseOwnerResponse(
            name=request.name, proofs=proofs, retention_notices=_notices()
        )

    def _names_of(self, owner: str) -> list[str]:
        return sorted(name for name in self.keys if name.startswith(owner + "/"))

    def _destroy(self, name: str) -> key_pb.DeletionProof:
        del self.keys[name]
        proof = key_pb.DeletionProof(key=name, destroyed_version_count=3)
        proof.confirm_time.FromDatetime(START)
        return proof


def _notices() -> list[owners_pb.RetentionNotice]:
    backups = owners_pb.RetentionNotice(place="vault_backups", content="Sealed keys.")
    backups.retention.FromTimedelta(RETENTION)
    backups.gone_time.FromDatetime(START + RETENTION)
    return [backups, owners_pb.RetentionNotice(place="service_logs", content="Names.")]
