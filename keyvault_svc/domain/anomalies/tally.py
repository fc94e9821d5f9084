"""What one replica saw of a grant's use in an hour, and has not added to the baseline yet."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from keyvault_svc.domain.anomalies.policy import Figure
from keyvault_svc.domain.names import GrantName
from keyvault_svc.domain.settlement import LeaseSettlement
from keyvault_svc.domain.usage import UsageSource

_FIRST_ERROR_STATUS: Final = 400
# OpenAI's refusals of what a request asks. An outage is none, nor is a limit of the account, which
# other keys may have reached (408, 429): they befall many grants at once, by no fault of theirs.
# Nor is a rejected key (401), of which there are events of their own.
_REFUSED_STATUSES: Final = frozenset(range(400, 500)) - {401, 408, 429}
_MAX_NAMES: Final = 16  # of models and of networks, each, in one tally
_MAX_MODEL: Final = 128  # characters
# OpenAI moves a model's name to its next state, and apps train theirs anew: no new use, either.
_SNAPSHOT: Final = re.compile(r"-(?:\d{4}-\d{2}-\d{2}|\d{4})\Z")
_FINE_TUNED: Final = re.compile(r"(ft:[^:]+):.*", re.DOTALL)


@dataclass(slots=True)
class Tally:
    """Sums of what was observed.

    Attributes:
        app: The app's SPIFFE ID.
        hour: See `times.hour_of`.
        figures: What was counted.
        models: Models that served, without what tells one state of a model from another.
        networks: Networks that the grant was never used from before.
        late_cause: Why the last of the late calls was refused: `rejected`, `disabled`, `revoked`.
    """

    grant: GrantName
    app: str
    hour: int
    figures: Counter[Figure] = field(default_factory=Counter)
    models: set[str] = field(default_factory=set)
    networks: set[str] = field(default_factory=set)
    late_cause: str = ""

    @property
    def has_use(self) -> bool:
        """Whether a lease was used, rather than refused."""
        return self.figures[Figure.REQUESTS] > 0

    @property
    def count(self) -> int:
        """How many calls were observed."""
        calls = (Figure.REQUESTS, Figure.REFUSALS, Figure.LATE)
        return sum(self.figures[figure] for figure in calls)

    def add_use(self, settlement: LeaseSettlement) -> None:
        """Add a lease that was used."""
        usage = settlement.usage
        self.figures[Figure.REQUESTS] += 1
        if usage.source is not UsageSource.RESERVED:  # nobody knows what was taken of those
            self.figures[Figure.TOKENS] += usage.input_tokens + usage.output_tokens
        if settlement.http_status in _REFUSED_STATUSES:
            self.figures[Figure.ERRORS] += 1
        # Also of an answer that the app did not read to its end. The name of a model that did not
        # answer may be one that the app made up.
        has_answered = 0 < settlement.http_status < _FIRST_ERROR_STATUS
        if has_answered and usage.model and len(self.models) < _MAX_NAMES:
            self.models.add(_model_of(usage.model))

    def add_network(self, network: str) -> None:
        """Add a network that the grant was never used from before."""
        if len(self.networks) < _MAX_NAMES:
            self.networks.add(network)

    def add_refusal(self, late_cause: str = "") -> None:
        """Add a refused call; *late_cause* says by what the grant's use had ended, if it had."""
        if late_cause:
            self.figures[Figure.LATE] += 1
            self.late_cause = late_cause
        else:
            self.figures[Figure.REFUSALS] += 1


def _model_of(name: str) -> str:
    if fine_tuned := _FINE_TUNED.fullmatch(name):
        name = fine_tuned[1]
    return _SNAPSHOT.sub("", name)[:_MAX_MODEL]
