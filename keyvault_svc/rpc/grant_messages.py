"""Messages of grants to domain types and back."""

from __future__ import annotations

from keyturn.keyvault.v1 import grant_pb2 as grant_pb
from keyvault_svc.domain.grant import Grant, GrantTerms
from keyvault_svc.domain.names import GrantName, KeyName
from keyvault_svc.rpc.times import datetime_of, optional_timestamp, timestamp


def grant_terms(message: grant_pb.Grant) -> GrantTerms:
    """Return the terms that *message* asks for.

    Raises:
        InvalidFieldError: A term breaks its rule.
    """
    expire_time = None
    if message.HasField("expire_time"):
        expire_time = datetime_of("grant.expire_time", message.expire_time)
    return GrantTerms.parse(
        app=message.app,
        models=message.models,
        endpoints=message.endpoints,
        source_cidrs=message.source_cidrs,
        expire_time=expire_time,
        may_choose_account=message.may_choose_account,
    )


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
    )
