"""Serves KeyVerificationService."""

from __future__ import annotations

from keyturn.keyvault.v1 import key_verification_service_pb2 as verification_pb
from keyturn.keyvault.v1.key_verification_service_pb2_grpc import KeyVerificationServiceServicer
from keyvault_svc.domain.names import KeyName
from keyvault_svc.domain.verifying import KeyVerifying
from keyvault_svc.rpc.key_messages import verification_outcome
from keyvault_svc.rpc.lease_messages import lease_id_of, lease_message
from svc_runtime.authentication import ServicerContext
from svc_runtime.call_context import annotate, current_call
from svc_runtime.service_error import CallerUnverifiedError
from svc_runtime.spiffe_id import SpiffeId


class KeyVerificationServicer(KeyVerificationServiceServicer):
    """KeyVerificationService over `KeyVerifying`."""

    def __init__(self, verifying: KeyVerifying, admin_key: KeyName | None = None) -> None:
        self._verifying = verifying
        self._admin_key = admin_key

    async def ClaimVerification(
        self, request: verification_pb.ClaimVerificationRequest, context: ServicerContext
    ) -> verification_pb.ClaimVerificationResponse:
        """Hand out one verification that is due."""
        del request, context
        gateway = calling_gateway()
        request_id = current_call().request_id
        lease = await self._verifying.claim(gateway, request_id)
        if lease is None:
            current_call().is_idle_poll = True
            return verification_pb.ClaimVerificationResponse()
        annotate(key=str(lease.key), lease=lease.lease_id, key_version=lease.key_version)
        return verification_pb.ClaimVerificationResponse(
            verification=verification_pb.Verification(
                key=str(lease.key),
                lease=lease_message(lease),
                request_id=request_id,
                app=str(gateway),
                is_admin_key=lease.key == self._admin_key,
            )
        )

    async def ReportVerification(
        self, request: verification_pb.ReportVerificationRequest, context: ServicerContext
    ) -> verification_pb.ReportVerificationResponse:
        """Take what OpenAI said."""
        del context
        name = KeyName.parse(request.key, "key")
        annotate(key=str(name))
        lease_id = lease_id_of("lease_id", request.lease_id)
        outcome = verification_outcome(request.outcome)
        annotate(lease=lease_id, outcome=outcome.value)
        record = await self._verifying.report(name, lease_id, outcome, current_call().request_id)
        if record is not None:
            annotate(key_version=record.current.number, state=record.state.value)
        return verification_pb.ReportVerificationResponse()


def calling_gateway() -> SpiffeId:
    """Return the gateway that makes the current call.

    Raises:
        CallerUnverifiedError: None was verified.
    """
    caller = current_call().caller
    if caller is None:
        raise CallerUnverifiedError
    return SpiffeId.parse(caller.name)
