"""Records of grants as documents with stable names, and as rows of tables; times of records."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, TypedDict

from google.protobuf.timestamp_pb2 import Timestamp

from keyturn.keyvault.v1 import grant_pb2 as grant_pb
from keyturn_cli.limit_views import LimitsDocument, limits_document, limits_words

GRANT_COLUMNS: Final = (
    *("name", "state", "app", "models", "endpoints", "networks", "limits", "expires"),
)

_TO_THE_MINUTE: Final = "%Y-%m-%d %H:%MZ"


class GrantDocument(TypedDict):
    """A grant, for programs. `state` is `active`, `expired` or `revoked`."""

    name: str
    state: str
    app: str
    models: list[str]
    endpoints: list[str]
    source_cidrs: list[str]
    may_choose_account: bool
    limits: LimitsDocument
    needs_owner_presence: bool
    needs_app_proof: bool
    expire_time: str | None
    create_time: str | None
    creator: str
    revoke_time: str | None
    revoker: str | None
    consent_text_version: str | None
    update_time: str | None
    updater: str | None
    grant_request: str | None


def grant_document(grant: grant_pb.Grant, now: datetime) -> GrantDocument:
    """Return *grant*, as it stands at *now*, for programs."""
    return GrantDocument(
        name=grant.name,
        state=_grant_state(grant, now),
        app=grant.app,
        models=list(grant.models),
        endpoints=list(grant.endpoints),
        source_cidrs=list(grant.source_cidrs),
        may_choose_account=grant.may_choose_account,
        limits=limits_document(grant.limits),
        needs_owner_presence=grant.needs_owner_presence,
        needs_app_proof=grant.needs_app_proof,
        expire_time=iso_time(grant.expire_time) if grant.HasField("expire_time") else None,
        create_time=iso_time(grant.create_time) if grant.HasField("create_time") else None,
        creator=grant.creator,
        revoke_time=iso_time(grant.revoke_time) if grant.HasField("revoke_time") else None,
        revoker=grant.revoker or None,
        consent_text_version=grant.consent_text_version or None,
        update_time=iso_time(grant.update_time) if grant.HasField("update_time") else None,
        updater=grant.updater or None,
        grant_request=grant.grant_request or None,
    )


def grant_row(grant: GrantDocument) -> list[str]:
    """Return *grant* as a row under `GRANT_COLUMNS`."""
    return [
        grant["name"],
        grant["state"],
        grant["app"],
        _words(grant["models"]),
        _words(grant["endpoints"]),
        _words(grant["source_cidrs"]) or "anywhere",
        limits_words(grant["limits"]) or "none",
        for_people(grant["expire_time"]) or "never",
    ]


def for_people(iso_time: str | None) -> str:
    """Return a time of a document to the minute, empty for none."""
    return datetime.fromisoformat(iso_time).strftime(_TO_THE_MINUTE) if iso_time else ""


def iso_time(time: Timestamp) -> str:
    """Return *time* for programs: ISO 8601, in UTC."""
    return time.ToJsonString()


def _grant_state(grant: grant_pb.Grant, now: datetime) -> str:
    if grant.HasField("revoke_time"):
        return "revoked"
    if grant.HasField("expire_time") and grant.expire_time.ToDatetime(UTC) <= now:
        return "expired"
    return "active"


def _words(items: Sequence[str]) -> str:
    return ", ".join(items)
