"""The log record of a settled lease: what a report of usage is made of."""

from __future__ import annotations

import structlog

from keyvault_svc.domain.prices import PriceList
from keyvault_svc.domain.settlement import LeaseSettlement
from keyvault_svc.domain.usage import UsageSource

_log = structlog.get_logger()


class StructuredSettlementLog:
    """Writes event `lease_settled`."""

    def __init__(self, prices: PriceList) -> None:
        """Say what requests cost, by *prices*."""
        self._prices = prices

    def write(self, settlement: LeaseSettlement) -> None:
        """Log *settlement*, and what its request cost where that is known."""
        usage = settlement.usage
        cost = None if usage.source is UsageSource.NONE else self._prices.cost(usage)
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
