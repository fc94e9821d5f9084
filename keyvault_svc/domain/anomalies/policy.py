"""From which figures on use is unusual, and what is done about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class AnomalyKind(StrEnum):
    """What can be unusual in the use of a grant."""

    RATE_SPIKE = "rate_spike"
    TOKEN_SPIKE = "token_spike"  # noqa: S105 - no password: a word for a kind
    UNUSUAL_HOUR = "unusual_hour"
    NEW_MODEL = "new_model"
    NEW_NETWORK = "new_network"
    ERROR_SPIKE = "error_spike"
    DORMANT_WOKEN = "dormant_woken"
    USED_AFTER_REJECTION = "used_after_rejection"
    MANY_REFUSALS = "many_refusals"


# Refused calls suspend nothing: an app whose grant was revoked could otherwise take the key from
# every other app, by calling often enough.
MAY_SUSPEND: Final = frozenset(AnomalyKind) - {
    AnomalyKind.USED_AFTER_REJECTION,
    AnomalyKind.MANY_REFUSALS,
}


class Figure(StrEnum):
    """What is counted of a grant by the hour."""

    REQUESTS = "requests"
    TOKENS = "tokens"
    ERRORS = "errors"  # requests that OpenAI refused for what they asked
    REFUSALS = "refusals"
    LATE = "late"  # refusals because the key was rejected or disabled, or the grant revoked


@dataclass(frozen=True, slots=True)
class AnomalyPolicy:
    """What the deployment decides about anomalies.

    Attributes:
        window_days: How many days before today a baseline is made of.
        learn_days: On how many of them a grant must have been used before its baseline counts.
        learn_requests: How many requests it must have made on them.
        spike_factor: How many times what is normal a spike is, at least.
        floors: Below which an hour's figure is never a spike.
        error_percent: Share of an hour's requests that OpenAI must refuse to be a spike of errors.
        dormant_days: After how many days without use a grant is dormant.
        suspends: Kinds by which a key is suspended.
    """

    window_days: int
    learn_days: int
    learn_requests: int
    spike_factor: int
    floors: Mapping[Figure, int]
    error_percent: int
    dormant_days: int
    suspends: frozenset[AnomalyKind] = frozenset()
