"""Serves KeyService."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from keyturn.keyvault.v1 import key_pb2 as key_pb
from keyturn.keyvault.v1 import key_service_pb2 as key_service_pb
from keyturn.keyvault.v1.key_service_pb2_grpc import KeyServiceServicer
from keyvault_svc.domain.custody import KeyCustody
from keyvault_svc.domain.intake import check_openai_key_id
from keyvault_svc.domain.key_policy import KeyPolicy
from keyvault_svc.domain.key_record import KeyRecord
from keyvault_svc.domain.names import KeyName, OwnerName
from keyvault_svc.domain.person import Person
from keyvault_svc.rpc.key_messages import (
    assurance_of,
    calling_person,
    change_of_key,
    key_message,
    optional_overlap,
    proof_message,
    take_api_key,
)
from keyvault_svc.rpc.times import datetime_of
from svc_runtime.authentication import ServicerContext
from svc_runtime.call_context import annotate, current_call
from svc_runtime.clock import Clock


class KeyServicer(KeyServiceServicer):
    """KeyService over `KeyCustody`."""

    def __init__(self, custody: KeyCustody, policy: KeyPolicy, clock: Clock) -> None:
        self._custody = custody
        self._policy = policy
        self._clock = clock

    async def CreateKey(
        self, request: key_service_pb.CreateKeyRequest, context: ServicerContext
    ) -> key_service_pb.CreateKeyResponse:
        """Take a new key into custody."""
        del context
        api_key = take_api_key(request, self._policy.admin_key)
        name = _key_name(request.name)
        expire_time = None
        if request.HasField("expire_time"):
            expire_time = datetime_of("expire_time", request.expire_time)
        record = await self._custody.create(
            calling_person(),
            name,
            api_key,
            current_call().request_id,
            expire_time=expire_time,
            assurance=assurance_of(request.assurance),
            base_url=request.base_url,
            openai_key_id=check_openai_key_id("openai_key_id", request.openai_key_id),
        )
        return key_service_pb.CreateKeyResponse(key=self._message(record))

    async def GetKey(
        self, request: key_service_pb.GetKeyRequest, context: ServicerContext
    ) -> key_service_pb.GetKeyResponse:
        """Return one record."""
        del context
        return key_service_pb.GetKeyResponse(key=await self._done(self._custody.get, request.name))

    async def ListKeys(
        self, request: key_service_pb.ListKeysRequest, context: ServicerContext
    ) -> key_service_pb.ListKeysResponse:
        """List one owner's records."""
        del context
        owner = OwnerName.parse(request.parent, "parent")
        annotate(owner=str(owner))
        records = await self._custody.list_keys(calling_person(), owner, current_call().request_id)
        return key_service_pb.ListKeysResponse(keys=[self._message(r) for r in records])

    async def UpdateKey(
        self, request: key_service_pb.UpdateKeyRequest, context: ServicerContext
    ) -> key_service_pb.UpdateKeyResponse:
        """Change what an owner may decide about a key."""
        del context
        change = change_of_key(request.key, request.update_mask.paths)
        name = _key_name(request.key.name, "key.name")
        record = await self._custody.update(
            calling_person(), name, change, current_call().request_id
        )
        return key_service_pb.UpdateKeyResponse(key=self._message(record))

    async def RotateKey(
        self, request: key_service_pb.RotateKeyRequest, context: ServicerContext
    ) -> key_service_pb.RotateKeyResponse:
        """Bring a new plaintext."""
        del context
        api_key = take_api_key(request, self._policy.admin_key)
        name = _key_name(request.name)
        record = await self._custody.rotate(
            calling_person(),
            name,
            api_key,
            current_call().request_id,
            overlap=optional_overlap(request),
            openai_key_id=check_openai_key_id("openai_key_id", request.openai_key_id),
        )
        return key_service_pb.RotateKeyResponse(key=self._message(record))

    async def UndoRotation(
        self, request: key_service_pb.UndoRotationRequest, context: ServicerContext
    ) -> key_service_pb.UndoRotationResponse:
        """Take the last rotation back."""
        del context
        record = await self._custody.undo_rotation(
            calling_person(),
            _key_name(request.name),
            current_call().request_id,
            request.key_version,
        )
        return key_service_pb.UndoRotationResponse(key=self._message(record))

    async def VerifyKey(
        self, request: key_service_pb.VerifyKeyRequest, context: ServicerContext
    ) -> key_service_pb.VerifyKeyResponse:
        """Have a gateway try the key at OpenAI."""
        del context
        return key_service_pb.VerifyKeyResponse(
            key=await self._done(self._custody.verify, request.name)
        )

    async def DisableKey(
        self, request: key_service_pb.DisableKeyRequest, context: ServicerContext
    ) -> key_service_pb.DisableKeyResponse:
        """Switch a key off."""
        del context
        return key_service_pb.DisableKeyResponse(
            key=await self._done(self._custody.disable, request.name)
        )

    async def EnableKey(
        self, request: key_service_pb.EnableKeyRequest, context: ServicerContext
    ) -> key_service_pb.EnableKeyResponse:
        """Switch a key on."""
        del context
        return key_service_pb.EnableKeyResponse(
            key=await self._done(self._custody.enable, request.name)
        )

    async def DeleteKey(
        self, request: key_service_pb.DeleteKeyRequest, context: ServicerContext
    ) -> key_service_pb.DeleteKeyResponse:
        """Destroy a key."""
        del context
        name = _key_name(request.name)
        proof = await self._custody.delete(calling_person(), name, current_call().request_id)
        annotate(count=proof.destroyed_version_count)
        return key_service_pb.DeleteKeyResponse(proof=proof_message(proof))

    async def _done(
        self, use_case: Callable[[Person, KeyName, str], Awaitable[KeyRecord]], name: str
    ) -> key_pb.Key:
        """Return the record after *use_case* on the key of this *name*."""
        record = await use_case(calling_person(), _key_name(name), current_call().request_id)
        return self._message(record)

    def _message(self, record: KeyRecord) -> key_pb.Key:
        annotate(key_version=record.current.number, state=record.state.value)
        return key_message(record, self._policy, self._clock.now())


def _key_name(unverified: str, field: str = "name") -> KeyName:
    name = KeyName.parse(unverified, field)
    annotate(key=str(name))
    return name
