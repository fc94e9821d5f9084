"""The log record of a settled lease: what a report of usage is made of."""

from __future__ import annotations

import structlog

from keyvault_svc.domain.lease import LeaseSettlement

_log = structlog.get_logger()


def log_settlement(settlement: LeaseSettlement) -> None:
    """Log *settlement* as event `lease_settled`."""
    _log.info(
        "lease_settled",
        lease=settlement.lease_id,
        request_id=settlement.request_id,
        key=settlement.key,
        grant=settlement.grant,
        app=settlement.app,
        outcome=settlement.outcome.value,
        input_tokens=settlement.input_tokens,
        output_tokens=settlement.output_tokens,
        http_status=settlement.http_status,
        openai_request_id=settlement.openai_request_id,
    )
