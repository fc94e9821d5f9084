"""Messages of operators to domain types and back."""

from __future__ import annotations

from keyturn.keyvault.v1 import limits_pb2 as limits_pb
from keyturn.keyvault.v1 import operator_service_pb2 as operator_pb
from keyvault_svc.domain.controls import Controls, Suspension
from keyvault_svc.domain.limits import Limits
from keyvault_svc.domain.names import OwnerName
from keyvault_svc.rpc.limit_messages import limits_message, limits_of
from keyvault_svc.rpc.times import timestamp


def suspension_message(suspension: Suspension) -> operator_pb.Suspension:
    """Return the message that tells *suspension*."""
    return operator_pb.Suspension(
        subject=str(suspension.subject),
        reason=suspension.reason,
        creator=suspension.creator,
        create_time=timestamp(suspension.create_time),
    )


def optional_limits(message: operator_pb.OwnerLimits) -> Limits | None:
    """Return the limits that *message* sets; None if it sets none, which is not "no limits".

    Raises:
        InvalidFieldError: A limit breaks its rule.
    """
    if not message.HasField("limits"):
        return None
    return limits_of("owner_limits.limits", message.limits)


def owner_limits_message(owner: OwnerName, limits: Limits) -> operator_pb.OwnerLimits:
    """Return the message that tells the limits of *owner*; empty ones are sent, too."""
    return operator_pb.OwnerLimits(
        owner=str(owner), limits=limits_message(limits) or limits_pb.Limits()
    )


def controls_message(controls: Controls, default_limits: Limits) -> operator_pb.GetControlsResponse:
    """Return the message that tells *controls*."""
    return operator_pb.GetControlsResponse(
        suspensions=[suspension_message(s) for s in controls.suspensions.values()],
        owner_limits=[
            owner_limits_message(owner, limits)
            for owner, limits in sorted(controls.owner_limits.items(), key=lambda item: item[0])
        ],
        default_owner_limits=limits_message(default_limits) or limits_pb.Limits(),
    )
