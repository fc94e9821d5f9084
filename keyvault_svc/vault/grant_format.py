"""How grants and limits are written in a record in KV."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from ipaddress import ip_network
from typing import Annotated, Final

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from keyvault_svc.domain.grant import Grant, GrantTerms
from keyvault_svc.domain.limits import Limits
from svc_runtime.spiffe_id import SpiffeId

_Count = Annotated[int | None, Field(ge=1)]
_USD = Annotated[Decimal | None, Field(gt=0)]


_FLAGS: Final = ("may_choose_account", "needs_owner_presence", "needs_app_proof")
_TEXTS: Final = ("consent_text_version", "request_id", "updater")


class Stored(BaseModel):
    """Something in a record."""

    # A field that this version does not know may limit a grant: such a record is refused, not
    # read in part.
    model_config = ConfigDict(extra="forbid", frozen=True)


class StoredLimits(Stored):
    """Limits; None for no limit."""

    concurrent_calls: _Count = None
    requests_per_minute: _Count = None
    tokens_per_minute: _Count = None
    tokens_per_day: _Count = None
    tokens_per_month: _Count = None
    usd_per_day: _USD = None
    usd_per_month: _USD = None


NO_LIMITS: Final = StoredLimits()


class StoredGrant(Stored):
    """A grant."""

    grant_id: str
    app: str
    models: list[str]
    endpoints: list[str]
    source_cidrs: list[str]
    expire_time: AwareDatetime | None
    create_time: AwareDatetime
    creator: str
    revoke_time: AwareDatetime | None
    revoker: str
    may_choose_account: bool = False
    limits: StoredLimits = NO_LIMITS
    needs_owner_presence: bool = False
    needs_app_proof: bool = False
    consent_text_version: str = ""
    request_id: str = ""
    update_time: AwareDatetime | None = None
    updater: str = ""


def grant_to_stored(grant: Grant) -> dict[str, object]:
    """Return what to store for *grant*."""
    return {
        "grant_id": grant.grant_id,
        "app": str(grant.terms.app),
        "models": list(grant.terms.models),
        "endpoints": list(grant.terms.endpoints),
        "source_cidrs": [str(network) for network in grant.terms.source_cidrs],
        "expire_time": text_of(grant.terms.expire_time),
        "create_time": grant.create_time.isoformat(),
        "creator": grant.creator,
        "revoke_time": text_of(grant.revoke_time),
        "revoker": grant.revoker,
        **limits_to_stored(grant.terms.limits),
        # What came later is written where it says something, so that a record which makes no use
        # of it can be read by the version before.
        **{name: True for name in _FLAGS if getattr(grant.terms, name)},
        **{name: text for name in _TEXTS if (text := getattr(grant, name))},
        **({"update_time": grant.update_time.isoformat()} if grant.update_time else {}),
    }


def limits_to_stored(limits: Limits) -> dict[str, object]:
    """Return the member that stores *limits*; none for no limits."""
    given = {name: limit for name, limit in asdict(limits).items() if limit is not None}
    texts = {
        name: f"{limit:f}" if isinstance(limit, Decimal) else limit for name, limit in given.items()
    }
    return {"limits": texts} if texts else {}


def limits_from_stored(limits: StoredLimits) -> Limits:
    """Return the limits that *limits* describes."""
    return Limits(**limits.model_dump())


def grant_from_stored(grant: StoredGrant) -> Grant:
    """Return the grant that *grant* describes."""
    terms = GrantTerms(
        SpiffeId.parse(grant.app),
        tuple(grant.models),
        tuple(grant.endpoints),
        tuple(ip_network(cidr) for cidr in grant.source_cidrs),
        grant.expire_time,
        grant.may_choose_account,
        limits_from_stored(grant.limits),
        grant.needs_owner_presence,
        grant.needs_app_proof,
    )
    return Grant(
        grant.grant_id,
        terms,
        grant.create_time,
        grant.creator,
        grant.revoke_time,
        grant.revoker,
        grant.consent_text_version,
        grant.request_id,
        grant.update_time,
        grant.updater,
    )


def text_of(time: datetime | None) -> str | None:
    """Return *time* as ISO 8601."""
    return None if time is None else time.isoformat()
