"""The log record of a settled lease: what a report of usage is made of."""

from __future__ import annotations

from typing import Final

import structlog

from keyvault_svc.domain.prices import PriceList
from keyvault_svc.domain.settlement import LeaseSettlement
from keyvault_svc.domain.usage import UsageSource
from keyvault_svc.metrics import COST, LEASES_SETTLED, MODEL

_log = structlog.get_logger()

_MAX_SUBJECTS: Final = 10_000  # of OpenAI's objects whose cost is counted once, the latest


class StructuredSettlementLog:
    """Writes event `lease_settled`, and counts leases and what they cost."""

    def __init__(self, prices: PriceList) -> None:
        """Say what requests cost, by *prices*."""
        self._prices = prices
        self._subjects: dict[str, None] = {}  # in order, as dicts keep it
        MODEL.allow(prices.models)

    def write(self, settlement: LeaseSettlement) -> None:
        """Log *settlement*, and what its request cost where that is known."""
        usage = settlement.usage
        cost = None if usage.source is UsageSource.NONE else self._prices.cost(usage)
        LEASES_SETTLED.add(1, settlement.outcome.value)
        if cost is not None and self._is_new(usage.subject):
            COST.add(float(cost), self._prices.name_of(usage.model))
        _log.info(
            "lease_settled",
            lease=settlement.lease_id,
            request_id=settlement.request_id,
            key=settlement.key,
            grant=settlement.grant,
            app=settlement.app,
            outcome=settlement.outcome.value,
            model=usage.model,
            usage_source=usage.source.value,
            usage_subject=usage.subject,
            input_tokens=usage.input_tokens,
            cached_input_tokens=usage.cached_input_tokens,
            output_tokens=usage.output_tokens,
            reasoning_tokens=usage.reasoning_tokens,
            audio_seconds=usage.audio_seconds,
            images=usage.images,
            cost_usd=None if cost is None else str(cost),
            http_status=settlement.http_status,
            openai_request_id=settlement.openai_request_id,
            body_sha256=settlement.body_sha256.hex(),
        )

    def _is_new(self, subject: str) -> bool:
        """Tell whether *subject*, an id of OpenAI's object, was not counted lately."""
        if not subject:
            return True
        if subject in self._subjects:
            return False
        if len(self._subjects) >= _MAX_SUBJECTS:
            del self._subjects[next(iter(self._subjects))]
        self._subjects[subject] = None
        return True
