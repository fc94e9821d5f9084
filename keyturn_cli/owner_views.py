"""What is held on an owner, and what its erasure left, as documents and in words."""

from __future__ import annotations

from datetime import datetime
from typing import TypedDict

from keyturn.keyvault.v1 import owner_service_pb2 as owners_pb
from keyturn_cli.key_dues import length
from keyturn_cli.key_views import (
    KeyDocument,
    ProofDocument,
    key_document,
    proof_document,
    proof_words,
)
from keyturn_cli.limit_views import LimitsDocument, limits_document
from keyturn_cli.record_views import GrantDocument, for_people, grant_document, iso_time
from keyturn_cli.request_views import RequestDocument, request_document


class ExportedKeyDocument(TypedDict):
    """A key with all of its grants."""

    key: KeyDocument
    grants: list[GrantDocument]


class RetentionDocument(TypedDict):
    """What is kept outside of the live store; null where the deployment declares nothing."""

    place: str
    content: str
    retention_seconds: int | None
    gone_time: str | None


class ExportedSuspensionDocument(TypedDict):
    """What operators have stopped of the owner's."""

    subject: str
    create_time: str


class ExportDocument(TypedDict):
    """Everything that is held on an owner but usage, for programs."""

    name: str
    export_time: str
    keys: list[ExportedKeyDocument]
    retention_notices: list[RetentionDocument]
    grant_requests: list[RequestDocument]
    limits: LimitsDocument
    suspensions: list[ExportedSuspensionDocument]


class ErasureDocument(TypedDict):
    """What an erasure destroyed, and what stays, for programs."""

    name: str
    proofs: list[ProofDocument]
    retention_notices: list[RetentionDocument]
    forgotten_entry_count: int
    ended_suspension_count: int
    has_ended_limits: bool


def export_document(export: owners_pb.ExportOwnerResponse, now: datetime) -> ExportDocument:
    """Return *export*, its grants and requests as they stand at *now*, for programs."""
    return ExportDocument(
        name=export.name,
        export_time=iso_time(export.export_time),
        keys=[
            ExportedKeyDocument(
                key=key_document(exported.key),
                grants=[grant_document(grant, now) for grant in exported.grants],
            )
            for exported in export.keys
        ],
        retention_notices=[_retention(notice) for notice in export.retention_notices],
        grant_requests=[request_document(request, now) for request in export.grant_requests],
        limits=limits_document(export.limits),
        suspensions=[
            ExportedSuspensionDocument(
                subject=suspension.subject, create_time=iso_time(suspension.create_time)
            )
            for suspension in export.suspensions
        ],
    )


def erasure_document(erasure: owners_pb.EraseOwnerResponse) -> ErasureDocument:
    """Return *erasure* for programs."""
    return ErasureDocument(
        name=erasure.name,
        proofs=[proof_document(proof) for proof in erasure.proofs],
        retention_notices=[_retention(notice) for notice in erasure.retention_notices],
        forgotten_entry_count=erasure.forgotten_entry_count,
        ended_suspension_count=erasure.ended_suspension_count,
        has_ended_limits=erasure.has_ended_limits,
    )


def erasure_lines(erasure: owners_pb.EraseOwnerResponse) -> list[str]:
    """Return *erasure* as lines of a report."""
    lines = [proof_words(proof) for proof in erasure.proofs]
    if not lines:
        lines = [f"{erasure.name} held no keys: there was nothing to destroy."]
    if erasure.forgotten_entry_count:
        entries = f"{erasure.forgotten_entry_count:,} entries of the store of limits"
        lines.append(f"Forgot usage, networks and counts: {entries}.")
    if erasure.ended_suspension_count:
        lines.append(f"Suspensions that ended: {erasure.ended_suspension_count}.")
    if erasure.has_ended_limits:
        lines.append("The limits that operators set for this owner alone ended.")
    if erasure.retention_notices:
        lines += ["", "What stays elsewhere:"]
        lines += [f"  {_retention_words(notice)}" for notice in erasure.retention_notices]
    return lines


def _retention(notice: owners_pb.RetentionNotice) -> RetentionDocument:
    return RetentionDocument(
        place=notice.place,
        content=notice.content,
        retention_seconds=notice.retention.seconds if notice.HasField("retention") else None,
        gone_time=iso_time(notice.gone_time) if notice.HasField("gone_time") else None,
    )


def _retention_words(notice: owners_pb.RetentionNotice) -> str:
    place = notice.place.replace("_", " ").capitalize()
    if not notice.HasField("retention"):
        return f"{place}: {notice.content} Until when is not declared: ask your operator."
    kept = f"Kept for {length(notice.retention.ToTimedelta())}"
    if notice.HasField("gone_time"):
        kept += f", gone by {for_people(iso_time(notice.gone_time))}"
    return f"{place}: {notice.content} {kept}."
