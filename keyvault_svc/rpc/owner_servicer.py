"""Serves OwnerService."""

from __future__ import annotations

from collections.abc import Sequence

from google.protobuf.duration_pb2 import Duration

from keyturn.keyvault.v1 import owner_service_pb2 as owner_pb
from keyturn.keyvault.v1.owner_service_pb2_grpc import OwnerServiceServicer
from keyvault_svc.domain.erasure import OwnerErasure
from keyvault_svc.domain.key_policy import KeyPolicy
from keyvault_svc.domain.names import OwnerName
from keyvault_svc.domain.retention import RetentionNotice
from keyvault_svc.rpc.grant_messages import grant_message
from keyvault_svc.rpc.grant_request_messages import grant_request_message
from keyvault_svc.rpc.key_messages import calling_person, key_message, proof_message
from keyvault_svc.rpc.limit_messages import limits_message
from keyvault_svc.rpc.times import optional_timestamp, timestamp
from svc_runtime.authentication import ServicerContext
from svc_runtime.call_context import annotate, current_call
from svc_runtime.clock import Clock


class OwnerServicer(OwnerServiceServicer):
    """OwnerService over `OwnerErasure`."""

    def __init__(self, erasure: OwnerErasure, policy: KeyPolicy, clock: Clock) -> None:
        self._erasure = erasure
        self._policy = policy
        self._clock = clock

    async def ExportOwner(
        self, request: owner_pb.ExportOwnerRequest, context: ServicerContext
    ) -> owner_pb.ExportOwnerResponse:
        """Tell everything that is held on one owner."""
        del context
        owner = _owner_name(request.name)
        export = await self._erasure.export(calling_person(), owner, current_call().request_id)
        now = self._clock.now()
        return owner_pb.ExportOwnerResponse(
            name=str(owner),
            export_time=timestamp(now),
            keys=[
                owner_pb.ExportedKey(
                    key=key_message(record, self._policy, now),
                    grants=[grant_message(record.name, grant) for grant in record.grants],
                )
                for record in export.records
            ],
            retention_notices=_notices(export.notices),
            grant_requests=[grant_request_message(request) for request in export.requests],
            limits=limits_message(export.limits),
            suspensions=[
                owner_pb.ExportedSuspension(
                    subject=str(suspension.subject), create_time=timestamp(suspension.create_time)
                )
                for suspension in export.suspensions
            ],
        )

    async def EraseOwner(
        self, request: owner_pb.EraseOwnerRequest, context: ServicerContext
    ) -> owner_pb.EraseOwnerResponse:
        """Destroy every key of one owner, and forget the rest."""
        del context
        owner = _owner_name(request.name)
        report = await self._erasure.erase(calling_person(), owner, current_call().request_id)
        annotate(count=len(report.proofs))
        return owner_pb.EraseOwnerResponse(
            name=str(owner),
            proofs=[proof_message(proof) for proof in report.proofs],
            retention_notices=_notices(report.notices),
            forgotten_entry_count=report.forgotten_count,
            ended_suspension_count=report.ended_suspension_count,
            has_ended_limits=report.has_ended_limits,
        )


def _owner_name(unverified: str) -> OwnerName:
    owner = OwnerName.parse(unverified, "name")
    annotate(owner=str(owner))
    return owner


def _notices(notices: Sequence[RetentionNotice]) -> list[owner_pb.RetentionNotice]:
    messages = []
    for notice in notices:
        message = owner_pb.RetentionNotice(
            place=notice.place,
            content=notice.content,
            gone_time=optional_timestamp(notice.gone_time),
        )
        if notice.retention is not None:
            retention = Duration()
            retention.FromTimedelta(notice.retention)
            message.retention.CopyFrom(retention)
        messages.append(message)
    return messages
