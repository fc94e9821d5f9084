"""Settings of reconciliation: how OpenAI is asked what it counted, and what may differ."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from keyvault_svc.domain.names import KeyName
from keyvault_svc.domain.reconciliation import Tolerance
from keyvault_svc.domain.reconciling import ReconcilingPolicy
from svc_runtime.service_error import InvalidFieldError
from svc_runtime.spiffe_id import SpiffeId


def _key_name(raw: str) -> str:
    try:
        return str(KeyName.parse(raw, "admin_key"))
    except InvalidFieldError as error:
        raise ValueError(error.rule) from None


def _spiffe_id(raw: str) -> str:
    return str(SpiffeId.parse(raw))


class ReconciliationSettings(BaseModel):
    """How usage beside Keyturn is found."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    admin_key: Annotated[str, AfterValidator(_key_name)] | None = None
    """Name of the key that asks OpenAI for usage, such as `teams/operators/keys/openai-admin`: an
    admin key of OpenAI's, and the only one that is taken into custody. Absent: nothing is
    reconciled."""
    gateways: tuple[Annotated[str, AfterValidator(_spiffe_id)], ...] = ()
    """SPIFFE ids of those of the gateways that may reconcile; empty for all."""
    ready_after_hours: Annotated[int, Field(ge=-24, le=24 * 14)] = 12
    """How long ago a day must have ended, in UTC, since OpenAI counts late. -24 takes the day that
    goes on, too: for trying it out."""
    tolerated_requests: Annotated[int, Field(ge=0)] = 100
    """How many more requests of a key OpenAI may count in a day."""
    tolerated_tokens: Annotated[int, Field(ge=0)] = 2_000
    """How many more tokens of a key OpenAI may count in a day."""
    tolerated_percent: Annotated[float, Field(ge=0, le=100)] = 2.0
    """How much more of either, on top, in percent of what went through Keyturn."""

    def admin_key_name(self) -> KeyName | None:
        """Return `admin_key`, parsed."""
        return None if self.admin_key is None else KeyName.parse(self.admin_key, "admin_key")

    def policy(self) -> ReconcilingPolicy:
        """Return them as the rules know them."""
        return ReconcilingPolicy(
            self.admin_key_name(),
            frozenset(SpiffeId.parse(gateway) for gateway in self.gateways),
            Tolerance(self.tolerated_requests, self.tolerated_tokens, self.tolerated_percent),
            timedelta(hours=self.ready_after_hours),
        )
