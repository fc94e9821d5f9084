"""Messages of requests for grants to domain types and back."""

from __future__ import annotations

from typing import Final

from keyturn.keyvault.v1 import grant_pb2 as grant_pb
from keyturn.keyvault.v1 import grant_request_service_pb2 as request_pb
from keyvault_svc.domain.grant import Grant
from keyvault_svc.domain.grant_requests import GrantRequest, GrantRequestState
from keyvault_svc.domain.names import GrantName, GrantRequestName
from keyvault_svc.rpc.grant_messages import grant_message
from keyvault_svc.rpc.times import optional_timestamp, timestamp

_STATE: Final = {
    GrantRequestState.OPEN: request_pb.GRANT_REQUEST_STATE_OPEN,
    GrantRequestState.APPROVED: request_pb.GRANT_REQUEST_STATE_APPROVED,
    GrantRequestState.DECLINED: request_pb.GRANT_REQUEST_STATE_DECLINED,
}


def grant_request_message(request: GrantRequest) -> request_pb.GrantRequest:
    """Return the message that describes *request*."""
    granted = GrantName(request.key, request.grant_id) if request.grant_id else ""
    return request_pb.GrantRequest(
        name=str(GrantRequestName(request.key, request.request_id)),
        grant=_asked_grant(request),
        reason=request.reason,
        requester=request.requester,
        create_time=timestamp(request.create_time),
        state=_STATE[request.state],
        decide_time=optional_timestamp(request.decide_time),
        decider=request.decider,
        answer=request.answer,
        granted=str(granted),
    )


def _asked_grant(request: GrantRequest) -> grant_pb.Grant:
    """Return the message of the terms that are asked for; nothing says that they are granted."""
    message = grant_message(
        request.key, Grant(request.request_id, request.terms, request.create_time, "")
    )
    for field in ("name", "create_time"):
        message.ClearField(field)
    return message
