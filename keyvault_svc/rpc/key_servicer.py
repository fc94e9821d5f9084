"""Serves KeyService."""

from __future__ import annotations

from keyturn.keyvault.v1 import key_service_pb2 as key_service_pb
from keyturn.keyvault.v1.key_service_pb2_grpc import KeyServiceServicer
from keyvault_svc.domain.custody import KeyCustody
from keyvault_svc.domain.names import KeyName, OwnerName
from keyvault_svc.rpc.messages import calling_person, key_message, take_api_key
from svc_runtime.authentication import ServicerContext
from svc_runtime.call_context import annotate, current_call
from svc_runtime.clock import Clock


class KeyServicer(KeyServiceServicer):
    """KeyService over `KeyCustody`."""

    def __init__(self, custody: KeyCustody, clock: Clock) -> None:
        self._custody = custody
        self._clock = clock

    async def CreateKey(
        self, request: key_service_pb.CreateKeyRequest, context: ServicerContext
    ) -> key_service_pb.CreateKeyResponse:
        """Take a new key into custody."""
        del context
        api_key = take_api_key(request)
        name = _key_name(request.name)
        record = await self._custody.create(
            calling_person(), name, api_key, current_call().request_id
        )
        return key_service_pb.CreateKeyResponse(key=key_message(record, self._clock.now()))

    async def GetKey(
        self, request: key_service_pb.GetKeyRequest, context: ServicerContext
    ) -> key_service_pb.GetKeyResponse:
        """Return one record."""
        del context
        name = _key_name(request.name)
        record = await self._custody.get(calling_person(), name, current_call().request_id)
        return key_service_pb.GetKeyResponse(key=key_message(record, self._clock.now()))

    async def ListKeys(
        self, request: key_service_pb.ListKeysRequest, context: ServicerContext
    ) -> key_service_pb.ListKeysResponse:
        """List one owner's records."""
        del context
        owner = OwnerName.parse(request.parent, "parent")
        annotate(owner=str(owner))
        records = await self._custody.list_keys(calling_person(), owner, current_call().request_id)
        now = self._clock.now()
        return key_service_pb.ListKeysResponse(keys=[key_message(r, now) for r in records])

    async def RotateKey(
        self, request: key_service_pb.RotateKeyRequest, context: ServicerContext
    ) -> key_service_pb.RotateKeyResponse:
        """Replace a key's plaintext."""
        del context
        api_key = take_api_key(request)
        name = _key_name(request.name)
        record = await self._custody.rotate(
            calling_person(), name, api_key, current_call().request_id
        )
        annotate(key_version=record.key_version)
        return key_service_pb.RotateKeyResponse(key=key_message(record, self._clock.now()))

    async def DeleteKey(
        self, request: key_service_pb.DeleteKeyRequest, context: ServicerContext
    ) -> key_service_pb.DeleteKeyResponse:
        """Destroy a key."""
        del context
        name = _key_name(request.name)
        await self._custody.delete(calling_person(), name, current_call().request_id)
        return key_service_pb.DeleteKeyResponse()


def _key_name(unverified: str) -> KeyName:
    name = KeyName.parse(unverified, "name")
    annotate(key=str(name))
    return name
