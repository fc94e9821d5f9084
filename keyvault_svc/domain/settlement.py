"""What became of a lease."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from keyvault_svc.domain.names import GrantName
from keyvault_svc.domain.usage import Usage, UsageSource

_FIRST_ERROR_STATUS: Final = 400


class LeaseOutcome(StrEnum):
    """How a leased request ended."""

    SERVED = "served"
    KEY_REJECTED = "key_rejected"
    UPSTREAM_FAILED = "upstream_failed"
    CANCELLED = "cancelled"
    UNUSED = "unused"
    UNSETTLED = "unsettled"


@dataclass(frozen=True, slots=True)
class LeaseSettlement:
    """What became of one lease.

    Attributes:
        http_status: OpenAI's answer; 0 for none.
        body_sha256: Of a body that was streamed, once all of it had passed; else empty.
    """

    lease_id: str
    request_id: str
    grant_name: GrantName
    app: str
    outcome: LeaseOutcome
    usage: Usage = field(default_factory=Usage)
    http_status: int = 0
    openai_request_id: str = ""
    body_sha256: bytes = b""

    @property
    def key(self) -> str:
        """Name of the key."""
        return str(self.grant_name.key)

    @property
    def grant(self) -> str:
        """Name of the grant."""
        return str(self.grant_name)

    @property
    def is_served_well(self) -> bool:
        """Whether OpenAI answered, and not with an error."""
        return self.outcome is LeaseOutcome.SERVED and self.http_status < _FIRST_ERROR_STATUS

    @property
    def has_taken_something(self) -> bool:
        """Whether OpenAI may have done work that it has not told of."""
        return self.outcome is LeaseOutcome.CANCELLED or (
            self.outcome is LeaseOutcome.UPSTREAM_FAILED and self.http_status > 0
        )

    def is_of_lease(self, other: LeaseSettlement) -> bool:
        """Tell whether both are of one lease, by the same grant to the same app."""
        mine = (self.lease_id, self.grant_name, self.app)
        return mine == (other.lease_id, other.grant_name, other.app)

    def completed(self, reservation: Usage) -> LeaseSettlement:
        """Return the settlement with what the lease was given for, where nothing better is known.

        Args:
            reservation: The bound of the request, and the model that it named.
        """
        usage = self.usage
        if usage.source is UsageSource.NONE and self.has_taken_something:
            usage = replace(reservation, subject=usage.subject, model=usage.model)
        if not usage.model:
            usage = replace(usage, model=reservation.model)
        return replace(self, usage=usage)
