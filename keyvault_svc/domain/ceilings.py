"""What the deployment allows owners to grant at most."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from typing import Final

from keyvault_svc.domain.grant import CREDENTIAL_ENDPOINTS, EVERYTHING, Grant, GrantTerms
from keyvault_svc.domain.limits import Limits
from svc_runtime.service_error import InvalidFieldError

# An owner's clock may be ahead: what they count from now must not end too late by seconds.
_SKEW: Final = timedelta(minutes=5)
_EVERY_ENDPOINT: Final = (EVERYTHING, *sorted(CREDENTIAL_ENDPOINTS))


@dataclass(frozen=True, slots=True)
class Ceilings:
    """What no grant may go beyond. What is empty or None bounds nothing.

    Terms that go beyond are refused when they are granted. A grant from before the ceiling stands,
    and allows no more than the ceiling; see `bounded` and `around`.

    Attributes:
        max_lifetime: How long a grant may last, counted from when it was made.
        models: Models that grants may name, written as in a grant.
        endpoints: Endpoints that grants may name, written as in a grant. Under a ceiling of models,
            those that run models which nobody sees must be named here.
        limits: Limits that every grant must set, to no more than these.
    """

    max_lifetime: timedelta | None = None
    models: tuple[str, ...] = ()
    endpoints: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)

    def check(self, terms: GrantTerms, create_time: datetime) -> None:
        """Refuse terms that go beyond.

        Args:
            terms: What is to be granted.
            create_time: When the grant is, or was, made.

        Raises:
            InvalidFieldError: They do; it names the field, and the ceiling.
        """
        self._check_lifetime(terms, create_time)
        outermost = self.around(terms)
        if terms.widens(replace(terms, models=outermost.models)):
            raise InvalidFieldError("grant.models", _rule_of(outermost.models))
        if terms.widens(outermost):
            raise InvalidFieldError("grant.endpoints", self._endpoint_rule())
        self._check_limits(terms.limits)

    def bounded(self, grant: Grant) -> Grant:
        """Return *grant* with no later end and no higher limits than the ceilings allow."""
        ends = (grant.terms.expire_time, self._end(grant.create_time))
        terms = replace(
            grant.terms,
            expire_time=min((end for end in ends if end is not None), default=None),
            limits=_lower(grant.terms.limits, self.limits),
        )
        return replace(grant, terms=terms)

    def around(self, terms: GrantTerms) -> GrantTerms:
        """Return *terms* with the most models and endpoints that any grant may name.

        A request must be allowed by a grant's own terms and by what is around them.
        """
        return replace(
            terms,
            models=self.models or (EVERYTHING,),
            endpoints=self.endpoints or _EVERY_ENDPOINT,
        )

    def _end(self, create_time: datetime) -> datetime | None:
        return None if self.max_lifetime is None else create_time + self.max_lifetime

    def _check_lifetime(self, terms: GrantTerms, create_time: datetime) -> None:
        if self.max_lifetime is None:
            return
        if terms.expire_time is None:
            problem = "must be set"
        elif terms.expire_time > create_time + self.max_lifetime + _SKEW:
            problem = "lies too late"
        else:
            return
        days = self.max_lifetime.days
        raise InvalidFieldError(
            "grant.expire_time",
            f"{problem}: a grant may last {days} days at most from when it is made, as the "
            f"deployment decides; write {days}d, or less",
        )

    def _endpoint_rule(self) -> str:
        if self.endpoints:
            return _rule_of(self.endpoints)
        return (
            "must name none that runs a model which nobody sees (assistants, batches, evals, "
            "fine_tuning, threads), since the deployment limits models"
        )

    def _check_limits(self, limits: Limits) -> None:
        for ceiling in fields(Limits):
            most, wanted = getattr(self.limits, ceiling.name), getattr(limits, ceiling.name)
            if most is not None and (wanted is None or wanted > most):
                raise InvalidFieldError(
                    f"grant.limits.{ceiling.name}",
                    f"must be set, to {most} at most, as the deployment decides",
                )


def _rule_of(entries: tuple[str, ...]) -> str:
    return f"the deployment allows no more than {', '.join(entries)}"


def _lower(limits: Limits, ceilings: Limits) -> Limits:
    """Return, of each kind, the lower one of two limits."""
    pairs = {
        kind.name: (getattr(limits, kind.name), getattr(ceilings, kind.name))
        for kind in fields(Limits)
    }
    return Limits(
        **{
            name: min((limit for limit in pair if limit is not None), default=None)
            for name, pair in pairs.items()
        }
    )
