"""What operators decided, as documents with stable names, and as rows of tables."""

from __future__ import annotations

from typing import Final, TypedDict

from keyturn.keyvault.v1 import operator_service_pb2 as operators_pb
from keyturn_cli.limit_views import LimitsDocument, limits_document, limits_words
from keyturn_cli.record_views import for_people, iso_time

SUSPENSION_COLUMNS: Final = ("suspended", "since", "by", "reason")
OWNER_LIMITS_COLUMNS: Final = ("owner", "limits")


class SuspensionDocument(TypedDict):
    """A stop, for programs."""

    subject: str
    reason: str
    creator: str
    create_time: str


class OwnerLimitsDocument(TypedDict):
    """An owner's limits, for programs. Those that are not set are not in it."""

    owner: str
    limits: LimitsDocument


class ControlsDocument(TypedDict):
    """Everything that holds, for programs."""

    suspensions: list[SuspensionDocument]
    owner_limits: list[OwnerLimitsDocument]
    default_owner_limits: LimitsDocument


def suspension_document(suspension: operators_pb.Suspension) -> SuspensionDocument:
    """Return *suspension* for programs."""
    return SuspensionDocument(
        subject=suspension.subject,
        reason=suspension.reason,
        creator=suspension.creator,
        create_time=iso_time(suspension.create_time),
    )


def owner_limits_document(limits: operators_pb.OwnerLimits) -> OwnerLimitsDocument:
    """Return the limits of one owner for programs."""
    return OwnerLimitsDocument(owner=limits.owner, limits=limits_document(limits.limits))


def controls_document(controls: operators_pb.GetControlsResponse) -> ControlsDocument:
    """Return *controls* for programs."""
    return ControlsDocument(
        suspensions=[suspension_document(s) for s in controls.suspensions],
        owner_limits=[owner_limits_document(limits) for limits in controls.owner_limits],
        default_owner_limits=limits_document(controls.default_owner_limits),
    )


def suspension_row(suspension: SuspensionDocument) -> list[str]:
    """Return *suspension* as a row under `SUSPENSION_COLUMNS`."""
    since = for_people(suspension["create_time"])
    return [suspension["subject"], since, suspension["creator"], suspension["reason"]]


def owner_limits_row(limits: OwnerLimitsDocument) -> list[str]:
    """Return one owner's limits as a row under `OWNER_LIMITS_COLUMNS`."""
    return [limits["owner"], owner_limits_words(limits["limits"])]


def owner_limits_words(limits: LimitsDocument) -> str:
    """Return the limits of an owner on one line."""
    return limits_words(limits) or "no limits"
