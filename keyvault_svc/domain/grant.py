"""Grants: an owner's recorded consent that one app may use one key."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    collapse_addresses,
    ip_network,
)
from typing import Final, Self

from keyvault_svc.domain.limits import Limits
from svc_runtime.service_error import InvalidFieldError
from svc_runtime.spiffe_id import SpiffeId

EVERYTHING: Final = "*"
MAX_ENTRIES: Final = 100  # per list of a grant

# OpenAI's model names, fine-tuned ones included (`ft:gpt-4o:org::id`); a prefix may end in `*`.
_MODEL: Final = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9._:/-]{0,127})?\*?")
_ENDPOINT: Final = re.compile(r"[a-z0-9][a-z0-9_-]*(?:/[A-Za-z0-9_-]+)*")
_MAX_ENDPOINT: Final = 256  # characters

# Where a request names no model, the endpoint alone decides. A body that names none passes a grant
# that limits models only here: it cannot slip past at an endpoint that nobody knew when this was
# written.
_ENDPOINTS_WITHOUT_A_MODEL: Final = (
    "containers",
    "conversations",
    "files",
    "uploads",
    "vector_stores",
)
# And where a file, or an object of before, names the model that runs: any model may. A grant that
# limits models allows these only where it names them, which `*` does not.
_ENDPOINTS_OF_UNSEEN_MODELS: Final = (
    "assistants",
    "batches",
    "evals",
    "fine_tuning",
    "threads",
)

# Endpoints that answer with a credential of OpenAI's, with which the app could go on without
# Keyturn for a while. Only a grant that names one allows it.
CREDENTIAL_ENDPOINTS: Final = frozenset(
    {
        "chatkit/sessions",
        "realtime/client_secrets",
        "realtime/sessions",
        "realtime/transcription_sessions",
    }
)


@dataclass(frozen=True, slots=True)
class GrantTerms:
    """What a grant allows.

    Attributes:
        app: The app that may use the key.
        models: Model names, prefixes that end in `*`, or `*` alone for every model.
        endpoints: Paths after `/v1/`; each covers what lies below it; `*` is every endpoint but
            those that answer with a credential, which must be named.
        source_cidrs: Networks to call from; empty for anywhere.
        expire_time: When it ends by itself; None for never.
        may_choose_account: Whether the app may name OpenAI's organisation and project.
        limits: What the app may take by it.
        needs_owner_presence: Whether each request needs the owner's own token.
        needs_app_proof: Whether each request needs the app's own token.
    """

    app: SpiffeId
    models: tuple[str, ...]
    endpoints: tuple[str, ...]
    source_cidrs: tuple[IPv4Network | IPv6Network, ...] = ()
    expire_time: datetime | None = None
    may_choose_account: bool = False
    limits: Limits = field(default_factory=Limits)
    needs_owner_presence: bool = False
    needs_app_proof: bool = False

    @classmethod
    def parse(
        cls,
        *,
        app: str,
        models: Sequence[str],
        endpoints: Sequence[str],
        source_cidrs: Sequence[str],
        expire_time: datetime | None,
    ) -> Self:
        """Check terms that come from outside.

        Raises:
            InvalidFieldError: A term breaks its rule; it names the field.
        """
        return cls(
            parse_app("grant.app", app),
            parse_models("grant.models", models),
            parse_endpoints("grant.endpoints", endpoints),
            parse_cidrs(source_cidrs),
            expire_time,
        )

    @property
    def size(self) -> int:
        """Characters that the terms take in a record, with what JSON puts around an entry."""
        entries = (str(self.app), *self.models, *self.endpoints, *map(str, self.source_cidrs))
        return sum(len(entry) + len('"", ') for entry in entries)

    def allow_source(self, source: IPv4Address | IPv6Address) -> bool:
        """Tell whether a call may come from *source*."""
        return not self.source_cidrs or any(source in network for network in self.source_cidrs)

    def allow_endpoint(self, endpoint: str) -> bool:
        """Tell whether *endpoint*, a path after `/v1/`, may be called."""
        if endpoint in CREDENTIAL_ENDPOINTS:
            return endpoint in self.endpoints
        return EVERYTHING in self.endpoints or _covers(self.endpoints, endpoint)

    def allow_model(self, model: str, endpoint: str) -> bool:
        """Tell whether *model* may be used at *endpoint*; empty for a body that names none."""
        if EVERYTHING in self.models:
            return True
        if not model:
            return _covers(_ENDPOINTS_WITHOUT_A_MODEL, endpoint) or (
                _covers(_ENDPOINTS_OF_UNSEEN_MODELS, endpoint) and _covers(self.endpoints, endpoint)
            )
        return any(
            model.startswith(entry[:-1]) if entry.endswith("*") else model == entry
            for entry in self.models
        )

    def widens(self, old: GrantTerms) -> bool:
        """Tell whether these may allow a request that *old* does not.

        It errs on the side of True: False means that every request within these is within *old*.
        """
        return (
            self.app != old.app
            or not all(_model_within(model, old.models) for model in self.models)
            or not all(old._names_what_lies_below(endpoint) for endpoint in self.endpoints)
            or _reaches_beyond(self.source_cidrs, old.source_cidrs)
            or _ends_after(self.expire_time, old.expire_time)
            or (self.may_choose_account and not old.may_choose_account)
            or not self.limits.are_within(old.limits)
            or (old.needs_owner_presence and not self.needs_owner_presence)
            or (old.needs_app_proof and not self.needs_app_proof)
        )

    def _names_what_lies_below(self, endpoint: str) -> bool:
        # Whether an entry of other terms allows no endpoint more than these. To name an endpoint
        # says more than `*` does where it hands out a credential or runs a model that is not seen.
        if endpoint == EVERYTHING:
            return EVERYTHING in self.endpoints
        if endpoint in CREDENTIAL_ENDPOINTS:
            return endpoint in self.endpoints
        if _covers(self.endpoints, endpoint):
            return True
        if EVERYTHING not in self.endpoints:
            return False
        return EVERYTHING in self.models or not _covers(_ENDPOINTS_OF_UNSEEN_MODELS, endpoint)


@dataclass(frozen=True, slots=True)
class Grant:
    """A consent: its terms, who gave it when, and who withdrew it when.

    Attributes:
        consent_text_version: Version of the text that the owner agreed to; empty for a grant from
            before there was one.
        request_id: The request for a grant that it answers; empty for none.
        update_time: When the terms were last changed; None for never.
        updater: Who changed them last.
    """

    grant_id: str
    terms: GrantTerms
    create_time: datetime
    creator: str
    revoke_time: datetime | None = None
    revoker: str = ""
    consent_text_version: str = ""
    request_id: str = ""
    update_time: datetime | None = None
    updater: str = ""

    def is_expired(self, now: datetime) -> bool:
        """Tell whether the grant ended by itself."""
        return self.terms.expire_time is not None and now >= self.terms.expire_time

    def is_active(self, now: datetime) -> bool:
        """Tell whether the grant is neither revoked nor expired."""
        return self.revoke_time is None and not self.is_expired(now)

    def changed(self, terms: GrantTerms, now: datetime, updater: str) -> Grant:
        """Return the grant with other terms."""
        return replace(self, terms=terms, update_time=now, updater=updater)

    def revoked(self, now: datetime, revoker: str) -> Grant:
        """Return the grant as withdrawn; a withdrawn one keeps its first revoke time."""
        if self.revoke_time is not None:
            return self
        return replace(self, revoke_time=now, revoker=revoker)


def _covers(paths: Iterable[str], endpoint: str) -> bool:
    return any(endpoint == path or endpoint.startswith(path + "/") for path in paths)


def _model_within(model: str, models: Iterable[str]) -> bool:
    # Whether an entry, with what a `*` at its end stands for, is covered by one of *models*.
    return any(
        model == other or (other.endswith("*") and model.startswith(other[:-1])) for other in models
    )


def _reaches_beyond(
    new: Sequence[IPv4Network | IPv6Network], old: Sequence[IPv4Network | IPv6Network]
) -> bool:
    if not old:
        return False
    if not new:
        return True
    # Collapsed, what several networks cover together is one network.
    old_v4 = list(collapse_addresses(net for net in old if isinstance(net, IPv4Network)))
    old_v6 = list(collapse_addresses(net for net in old if isinstance(net, IPv6Network)))
    return not all(
        any(network.subnet_of(other) for other in old_v4)
        if isinstance(network, IPv4Network)
        else any(network.subnet_of(other) for other in old_v6)
        for network in new
    )


def _ends_after(new: datetime | None, old: datetime | None) -> bool:
    return old is not None and (new is None or new > old)


def parse_app(field: str, app: str) -> SpiffeId:
    """Check an app's name that comes from outside; see `parse_models`."""
    try:
        return SpiffeId.parse(app)
    except ValueError:
        pass
    raise InvalidFieldError(field, "must be a SPIFFE ID: spiffe://<trust domain>/<path>")


def parse_models(field: str, entries: Sequence[str]) -> tuple[str, ...]:
    """Check entries of models that come from outside.

    Raises:
        InvalidFieldError: One breaks its rule; it names *field*.
    """
    return _parse_entries(field, entries, _MODEL)


def parse_endpoints(field: str, entries: Sequence[str]) -> tuple[str, ...]:
    """Check entries of endpoints that come from outside; see `parse_models`."""
    return _parse_entries(field, entries, _ENDPOINT)


def _parse_entries(field: str, entries: Sequence[str], form: re.Pattern[str]) -> tuple[str, ...]:
    if not entries:
        raise InvalidFieldError(field, "must have at least one entry; '*' stands for every one")
    if len(entries) > MAX_ENTRIES:
        raise InvalidFieldError(field, f"must have at most {MAX_ENTRIES} entries")
    for entry in entries:
        if entry == EVERYTHING:
            continue
        if not entry or len(entry) > _MAX_ENDPOINT or not form.fullmatch(entry):
            raise InvalidFieldError(
                field, "an entry is malformed; see the API's comments for its form"
            )
    return tuple(dict.fromkeys(entries))


def parse_cidrs(cidrs: Sequence[str]) -> tuple[IPv4Network | IPv6Network, ...]:
    """Check networks that come from outside; see `parse_models`."""
    if len(cidrs) > MAX_ENTRIES:
        raise InvalidFieldError("grant.source_cidrs", f"must have at most {MAX_ENTRIES} entries")
    try:
        return tuple(ip_network(cidr) for cidr in cidrs)
    except ValueError:
        pass
    raise InvalidFieldError(
        "grant.source_cidrs", "each entry must be a network without host bits, like 10.1.0.0/16"
    )
