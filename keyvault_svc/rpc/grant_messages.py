"""Messages of grants to domain types and back."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from keyturn.keyvault.v1 import grant_pb2 as grant_pb
from keyvault_svc.domain.grant import (
    Grant,
    GrantTerms,
    parse_cidrs,
    parse_endpoints,
    parse_models,
)
from keyvault_svc.domain.names import GrantName, GrantRequestName, KeyName
from keyvault_svc.rpc.limit_messages import (
    SINGLE_LIMITS,
    change_of_limits,
    limits_message,
    limits_of,
)
from keyvault_svc.rpc.times import datetime_of, optional_timestamp, timestamp
from svc_runtime.service_error import InvalidFieldError


def grant_terms(message: grant_pb.Grant) -> GrantTerms:
    """Return the terms that *message* asks for.

    Raises:
        InvalidFieldError: A term breaks its rule.
    """
    terms = GrantTerms.parse(
        app=message.app,
        models=message.models,
        endpoints=message.endpoints,
        source_cidrs=message.source_cidrs,
        expire_time=_expire_time(message),
    )
    return replace(
        terms,
        may_choose_account=message.may_choose_account,
        limits=limits_of("grant.limits", message.limits),
        needs_owner_presence=message.needs_owner_presence,
        needs_app_proof=message.needs_app_proof,
    )


def change_of_terms(
    message: grant_pb.Grant, paths: Collection[str]
) -> Callable[[GrantTerms], GrantTerms]:
    """Return the change of terms that *message* asks for.

    Args:
        message: What the terms are to be.
        paths: Which of them to change, as in `UpdateGrantRequest.update_mask`.

    Raises:
        InvalidFieldError: A term breaks its rule, or *paths* names none, or others.
    """
    if not paths or not set(paths) <= _TERMS.keys() | {"limits"} | SINGLE_LIMITS:
        terms = ", ".join(sorted((*_TERMS, "limits")))
        raise InvalidFieldError("update_mask", f"must name some of {terms}; of limits, single ones")
    parsed = {path: _TERMS[path](message) for path in paths if path in _TERMS}
    limit = change_of_limits("grant.limits", message.limits, paths)

    def change(terms: GrantTerms) -> GrantTerms:
        changed = replace(terms, **parsed)
        return changed if limit is None else replace(changed, limits=limit(changed.limits))

    return change


def _expire_time(message: grant_pb.Grant) -> datetime | None:
    if not message.HasField("expire_time"):
        return None
    return datetime_of("grant.expire_time", message.expire_time)


_TERMS: Final[Mapping[str, Callable[[grant_pb.Grant], Any]]] = {
    "models": lambda message: parse_models("grant.models", message.models),
    "endpoints": lambda message: parse_endpoints("grant.endpoints", message.endpoints),
    "source_cidrs": lambda message: parse_cidrs(message.source_cidrs),
    "expire_time": _expire_time,
    "may_choose_account": lambda message: message.may_choose_account,
    "needs_owner_presence": lambda message: message.needs_owner_presence,
    "needs_app_proof": lambda message: message.needs_app_proof,
}
"""The terms that can be changed, but for the limits, and how each is read."""


def grant_message(key: KeyName, grant: Grant) -> grant_pb.Grant:
    """Return the message that describes *grant* on *key*."""
    terms = grant.terms
    return grant_pb.Grant(
        name=str(GrantName(key, grant.grant_id)),
        app=str(terms.app),
        models=terms.models,
        endpoints=terms.endpoints,
        source_cidrs=[str(network) for network in terms.source_cidrs],
        expire_time=optional_timestamp(terms.expire_time),
        create_time=timestamp(grant.create_time),
        creator=grant.creator,
        revoke_time=optional_timestamp(grant.revoke_time),
        revoker=grant.revoker,
        may_choose_account=terms.may_choose_account,
        limits=limits_message(terms.limits),
        needs_owner_presence=terms.needs_owner_presence,
        needs_app_proof=terms.needs_app_proof,
        consent_text_version=grant.consent_text_version,
        update_time=optional_timestamp(grant.update_time),
        updater=grant.updater,
        grant_request=str(GrantRequestName(key, grant.request_id)) if grant.request_id else "",
    )
