"""Settings of anomalies: from which figures on use is unusual, and what is done about it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from keyvault_svc.domain.anomalies.policy import AnomalyKind, AnomalyPolicy, Figure

_Count = Annotated[int, Field(ge=1, le=2**48)]
# The kinds of `policy.MAY_SUSPEND`.
_Suspends = Literal[
    AnomalyKind.RATE_SPIKE,
    AnomalyKind.TOKEN_SPIKE,
    AnomalyKind.UNUSUAL_HOUR,
    AnomalyKind.NEW_MODEL,
    AnomalyKind.NEW_NETWORK,
    AnomalyKind.ERROR_SPIKE,
    AnomalyKind.DORMANT_WOKEN,
]


class AnomalySettings(BaseModel):
    """From which figures on the use of a grant is unusual. Hours and days are those of UTC."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = True
    """Keep baselines, and tell what is unusual."""
    every_seconds: Annotated[float, Field(ge=0.1, le=600)] = 10
    """How often what was observed is judged."""
    window_days: Annotated[int, Field(ge=1, le=90)] = 70
    """Days before today that a baseline is made of; what came on two of them is normal, so that 70
    make a monthly job normal."""
    learn_days: Annotated[int, Field(ge=0, le=90)] = 7
    """On how many of them a grant must have been used before its baseline counts."""
    learn_requests: Annotated[int, Field(ge=0, le=1_000_000)] = 200
    """How many requests it must have made on them."""
    spike_factor: Annotated[int, Field(ge=2, le=1000)] = 3
    """How many times the most of a usual hour a spike is."""
    min_requests: _Count = 100
    """Requests in an hour below which there is no spike of them."""
    min_tokens: _Count = 200_000
    """Tokens likewise."""
    min_errors: _Count = 20
    """Requests that OpenAI refused likewise."""
    min_refusals: _Count = 100
    """Refused requests likewise."""
    min_late: _Count = 10
    """Requests in an hour from which on use after a rejection is told."""
    error_percent: Annotated[int, Field(ge=1, le=100)] = 25
    """Share of an hour's requests that OpenAI must refuse to be a spike of errors."""
    dormant_days: Annotated[int, Field(ge=1, le=365)] = 45
    """Days without use after which use is unusual; of a monthly job there are up to 35."""
    suspend: tuple[_Suspends, ...] = ()
    """Kinds by which the key is suspended, until an operator resumes it."""

    def policy(self) -> AnomalyPolicy:
        """Return them as the rules know them."""
        return AnomalyPolicy(
            self.window_days,
            self.learn_days,
            self.learn_requests,
            self.spike_factor,
            {
                Figure.REQUESTS: self.min_requests,
                Figure.TOKENS: self.min_tokens,
                Figure.ERRORS: self.min_errors,
                Figure.REFUSALS: self.min_refusals,
                Figure.LATE: self.min_late,
            },
            self.error_percent,
            self.dormant_days,
            frozenset(self.suspend),
        )
