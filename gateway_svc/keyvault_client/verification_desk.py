"""`VerificationDesk` over the key service's KeyVerificationService."""

from __future__ import annotations

from typing import Final

import grpc
import structlog

from gateway_svc.domain.errors import KeyServiceUnavailableError
from gateway_svc.domain.key_name import KeyName
from gateway_svc.domain.verification import VerificationOutcome
from gateway_svc.domain.verifier import Verification
from gateway_svc.keyvault_client.error_translation import to_service_error
from gateway_svc.keyvault_client.lease_message import lease_of
from keyturn.keyvault.v1 import key_pb2 as key_pb
from keyturn.keyvault.v1 import key_verification_service_pb2 as verification_pb
from keyturn.keyvault.v1.key_verification_service_pb2_grpc import KeyVerificationServiceStub
from svc_runtime.call_context import REQUEST_ID_KEY, bound_request_id, request_id_from
from svc_runtime.grpc_channel import ReloadingChannel
from svc_runtime.service_error import InvalidFieldError
from svc_runtime.spiffe_id import SpiffeId

_log = structlog.get_logger()

_SECONDS: Final = 10.0
_OUTCOME: Final = {
    VerificationOutcome.VERIFIED: key_pb.VERIFICATION_OUTCOME_VERIFIED,
    VerificationOutcome.WRONG_KEY: key_pb.VERIFICATION_OUTCOME_WRONG_KEY,
    VerificationOutcome.NO_QUOTA: key_pb.VERIFICATION_OUTCOME_NO_QUOTA,
    VerificationOutcome.NO_PERMISSION: key_pb.VERIFICATION_OUTCOME_NO_PERMISSION,
    VerificationOutcome.OPENAI_UNREACHABLE: key_pb.VERIFICATION_OUTCOME_OPENAI_UNREACHABLE,
}


class GrpcVerificationDesk:
    """The key service, over a channel that follows certificate changes."""

    def __init__(self, channel: ReloadingChannel) -> None:
        self._channel = channel

    async def claim(self) -> Verification | None:
        """Return a verification to do; see `VerificationDesk.claim`."""
        stub = KeyVerificationServiceStub(self._channel.channel())
        try:
            response = await stub.ClaimVerification(
                verification_pb.ClaimVerificationRequest(),
                timeout=_SECONDS,
                metadata=((REQUEST_ID_KEY, bound_request_id()),),
            )
        except grpc.aio.AioRpcError as error:
            _log.warning("key_service_unavailable", code=error.code().name)
            failure = to_service_error(error)
        else:
            if not response.HasField("verification"):
                return None
            return _verification(response.verification)
        raise failure

    async def report(self, verification: Verification, outcome: VerificationOutcome) -> None:
        """Tell what OpenAI said; see `VerificationDesk.report`."""
        request = verification_pb.ReportVerificationRequest(
            key=str(verification.key),
            lease_id=verification.lease.lease_id,
            outcome=_OUTCOME[outcome],
        )
        stub = KeyVerificationServiceStub(self._channel.channel())
        try:
            await stub.ReportVerification(
                request,
                timeout=_SECONDS,
                metadata=((REQUEST_ID_KEY, verification.request_id),),
            )
        except grpc.aio.AioRpcError as error:
            _log.warning(
                "verification_report_refused",
                code=error.code().name,
                key=str(verification.key),
                lease=verification.lease.lease_id,
            )
            failure = to_service_error(error)
        else:
            return
        raise failure


def _verification(message: verification_pb.Verification) -> Verification:
    lease = lease_of(message.lease)
    try:
        return Verification(
            request_id_from([message.request_id]),
            KeyName.parse(message.key),
            SpiffeId.parse(message.app),
            lease,
            message.is_admin_key,
        )
    except (InvalidFieldError, ValueError):
        pass
    _log.error("lease_malformed", lease=lease.lease_id)
    raise KeyServiceUnavailableError
