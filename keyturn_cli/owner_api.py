"""What an owner can do at the key service, as calls that raise `CommandError`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import date, datetime, timedelta
from typing import TypeVar

import grpc
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from keyturn.keyvault.v1 import grant_pb2 as grant_pb
from keyturn.keyvault.v1 import grant_service_pb2 as grants_pb
from keyturn.keyvault.v1 import key_pb2 as key_pb
from keyturn.keyvault.v1 import key_service_pb2 as keys_pb
from keyturn.keyvault.v1 import owner_service_pb2 as owners_pb
from keyturn.keyvault.v1 import usage_service_pb2 as usage_pb
from keyturn.keyvault.v1.grant_service_pb2_grpc import GrantServiceStub
from keyturn.keyvault.v1.key_service_pb2_grpc import KeyServiceStub
from keyturn.keyvault.v1.owner_service_pb2_grpc import OwnerServiceStub
from keyturn.keyvault.v1.usage_service_pb2_grpc import UsageServiceStub
from keyturn_cli.call_failure import command_error_of
from keyturn_cli.client_settings import ClientSettings
from keyturn_cli.owner_token import OwnerToken
from keyturn_cli.service_channels import (
    REQUEST_ID_KEY,
    CallOptions,
    new_request_id,
    owner_channel,
)
from svc_runtime.secret_bytes import SecretBytes

_Answer = TypeVar("_Answer")


class OwnerAPI:
    """The owner port of the key service, called as one person."""

    def __init__(
        self, channel: grpc.aio.Channel, token: OwnerToken, options: CallOptions, address: str
    ) -> None:
        self._channel = channel
        self._keys = KeyServiceStub(channel)
        self._grants = GrantServiceStub(channel)
        self._owners = OwnerServiceStub(channel)
        self._usage = UsageServiceStub(channel)
        self._token = token
        self._options = options
        self._address = address
        self._service = f"the key service at {address}"

    def apart(self) -> OwnerAPI:
        """Return the same under a request id of its own.

        What is only looked at, again and again, then stays out of the trail of what was done.
        """
        options = CallOptions(self._options.timeout_seconds, new_request_id())
        return OwnerAPI(self._channel, self._token, options, self._address)

    async def create_key(
        self,
        name: str,
        api_key: SecretBytes,
        *,
        expire_time: datetime | None = None,
        assurance: key_pb.KeyAssurance.ValueType = key_pb.KEY_ASSURANCE_UNSPECIFIED,
        base_url: str = "",
        openai_key_id: str = "",
    ) -> key_pb.Key:
        """Give a new key into custody and return its record."""
        request = keys_pb.CreateKeyRequest(
            name=name,
            api_key=api_key.expose(),
            assurance=assurance,
            base_url=base_url,
            openai_key_id=openai_key_id,
        )
        if expire_time is not None:
            request.expire_time.FromDatetime(expire_time)
        call = self._keys.CreateKey(request, timeout=self._timeout, metadata=self._metadata())
        try:
            return (await self._answer(call)).key
        finally:
            request.ClearField("api_key")

    async def rotate_key(
        self,
        name: str,
        api_key: SecretBytes,
        *,
        overlap: timedelta | None = None,
        openai_key_id: str = "",
    ) -> key_pb.Key:
        """Bring a key's new plaintext and return its record; it serves once it is verified."""
        request = keys_pb.RotateKeyRequest(
            name=name, api_key=api_key.expose(), openai_key_id=openai_key_id
        )
        if overlap is not None:
            request.overlap.FromTimedelta(overlap)
        call = self._keys.RotateKey(request, timeout=self._timeout, metadata=self._metadata())
        try:
            return (await self._answer(call)).key
        finally:
            request.ClearField("api_key")

    async def undo_rotation(self, name: str, key_version: int) -> key_pb.Key:
        """Take back the rotation that brought *key_version*, and return the key's record."""
        request = keys_pb.UndoRotationRequest(name=name, key_version=key_version)
        call = self._keys.UndoRotation(request, timeout=self._timeout, metadata=self._metadata())
        return (await self._answer(call)).key

    async def verify_key(self, name: str) -> key_pb.Key:
        """Have a key tried at OpenAI and return its record as it was before."""
        request = keys_pb.VerifyKeyRequest(name=name)
        call = self._keys.VerifyKey(request, timeout=self._timeout, metadata=self._metadata())
        return (await self._answer(call)).key

    async def disable_key(self, name: str) -> key_pb.Key:
        """Switch a key off and return its record."""
        request = keys_pb.DisableKeyRequest(name=name)
        call = self._keys.DisableKey(request, timeout=self._timeout, metadata=self._metadata())
        return (await self._answer(call)).key

    async def enable_key(self, name: str) -> key_pb.Key:
        """Switch a key on and return its record; it serves once it is verified."""
        request = keys_pb.EnableKeyRequest(name=name)
        call = self._keys.EnableKey(request, timeout=self._timeout, metadata=self._metadata())
        return (await self._answer(call)).key

    async def update_key(self, key: key_pb.Key, fields: Sequence[str]) -> key_pb.Key:
        """Change *fields* of the key to what *key* has, and return its record."""
        request = keys_pb.UpdateKeyRequest(key=key, update_mask=FieldMask(paths=fields))
        call = self._keys.UpdateKey(request, timeout=self._timeout, metadata=self._metadata())
        return (await self._answer(call)).key

    async def get_key(self, name: str) -> key_pb.Key:
        """Return a key's record."""
        request = keys_pb.GetKeyRequest(name=name)
        call = self._keys.GetKey(request, timeout=self._timeout, metadata=self._metadata())
        return (await self._answer(call)).key

    async def list_keys(self, owner: str) -> Sequence[key_pb.Key]:
        """Return the records of an owner's keys, by name."""
        request = keys_pb.ListKeysRequest(parent=owner)
        call = self._keys.ListKeys(request, timeout=self._timeout, metadata=self._metadata())
        return (await self._answer(call)).keys

    async def delete_key(self, name: str) -> key_pb.DeletionProof:
        """Destroy a key and its grants, and return what was destroyed."""
        request = keys_pb.DeleteKeyRequest(name=name)
        call = self._keys.DeleteKey(request, timeout=self._timeout, metadata=self._metadata())
        return (await self._answer(call)).proof

    async def export_owner(self, owner: str) -> owners_pb.ExportOwnerResponse:
        """Return everything that is held on an owner."""
        request = owners_pb.ExportOwnerRequest(name=owner)
        call = self._owners.ExportOwner(request, timeout=self._timeout, metadata=self._metadata())
        return await self._answer(call)

    async def erase_owner(self, owner: str) -> owners_pb.EraseOwnerResponse:
        """Destroy every key of an owner, and return what was destroyed and what stays."""
        request = owners_pb.EraseOwnerRequest(name=owner)
        call = self._owners.EraseOwner(request, timeout=self._timeout, metadata=self._metadata())
        return await self._answer(call)

    async def get_consent_text(self) -> grants_pb.GetConsentTextResponse:
        """Return what owners agree to when they grant."""
        return await self.send(self._grants.GetConsentText, grants_pb.GetConsentTextRequest())

    async def create_grant(
        self, key: str, grant: grant_pb.Grant, consent_text_version: str
    ) -> grant_pb.Grant:
        """Record the consent that *grant* describes and return the record."""
        request = grants_pb.CreateGrantRequest(
            parent=key, grant=grant, consent_text_version=consent_text_version
        )
        return (await self.send(self._grants.CreateGrant, request)).grant

    async def update_grant(
        self, grant: grant_pb.Grant, fields: Sequence[str], consent_text_version: str = ""
    ) -> grant_pb.Grant:
        """Change *fields* of the grant to what *grant* has, and return its record."""
        request = grants_pb.UpdateGrantRequest(
            grant=grant,
            update_mask=FieldMask(paths=fields),
            consent_text_version=consent_text_version,
        )
        return (await self.send(self._grants.UpdateGrant, request)).grant

    async def list_grants(self, parent: str, app: str = "") -> Sequence[grant_pb.Grant]:
        """Return the grants on a key, or on all keys of an owner, the oldest first."""
        request = grants_pb.ListGrantsRequest(parent=parent, app=app)
        return (await self.send(self._grants.ListGrants, request)).grants

    async def revoke_grant(self, name: str) -> grant_pb.Grant:
        """Withdraw a consent and return its record."""
        request = grants_pb.RevokeGrantRequest(name=name)
        call = self._grants.RevokeGrant(request, timeout=self._timeout, metadata=self._metadata())
        return (await self._answer(call)).grant

    async def get_usage(self, name: str, since: date, until: date) -> usage_pb.GetUsageResponse:
        """Return what an owner or a key used from *since* to *until*, and what limits leave."""
        request = usage_pb.GetUsageRequest(
            name=name, since_date=since.isoformat(), until_date=until.isoformat()
        )
        whole = await self.send(self._usage.GetUsage, request)
        while whole.next_page_token:
            request.page_token = whole.next_page_token
            page = await self.send(self._usage.GetUsage, request)
            whole.rows.extend(page.rows)
            whole.next_page_token = page.next_page_token
        return whole

    @property
    def channel(self) -> grpc.aio.Channel:
        """The connection, for stubs of other services of the owner port."""
        return self._channel

    async def send(self, method: Callable[..., Awaitable[_Answer]], request: Message) -> _Answer:
        """Make one call of *method*, a stub's over `channel`, and return its answer.

        Raises:
            CommandError: The key service cannot answer, or refuses.
        """
        return await self._answer(method(request, timeout=self._timeout, metadata=self._metadata()))

    @property
    def _timeout(self) -> float:
        return self._options.timeout_seconds

    def _metadata(self) -> tuple[tuple[str, str], ...]:
        return (
            ("authorization", f"Bearer {self._token.secret.expose().decode()}"),
            (REQUEST_ID_KEY, self._options.request_id),
        )

    async def _answer(self, call: Awaitable[_Answer]) -> _Answer:
        try:
            return await call
        except grpc.aio.AioRpcError as error:
            raise command_error_of(
                error, service=self._service, request_id=self._options.request_id
            ) from error


@asynccontextmanager
async def owner_api(
    settings: ClientSettings, token: OwnerToken, options: CallOptions
) -> AsyncIterator[OwnerAPI]:
    """Connect to the key service as the person of *token*."""
    async with owner_channel(settings) as channel:
        yield OwnerAPI(channel, token, options, settings.require("KEYTURN_KEYS_GRPC"))
