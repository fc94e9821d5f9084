from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
import structlog

from keyvault_svc.domain.names import GrantName
from keyvault_svc.domain.settlement import LeaseOutcome, LeaseSettlement
from keyvault_svc.domain.usage import Usage, UsageSource
from keyvault_svc.lease_log import StructuredSettlementLog
from svc_runtime.logging_setup import configure_logging
from tests.fakes.figures import measured_figures
from tests.unit.keyvault_svc.lease_stage import PRICES, REPORTED
from tests.unit.keyvault_svc.samples import BILLING, KEY

USAGE = Usage(1000, 500, 400, 30, 1.5, 2, "gpt-4o-2024-08-06", "resp_1", UsageSource.REPORTED)
SETTLEMENT = LeaseSettlement(
    "0" * 32,
    "request-0001",
    GrantName(KEY, "1" * 16),
    str(BILLING),
    LeaseOutcome.SERVED,
    USAGE,
    200,
    "req_1",
    b"\1" * 32,
)


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    configure_logging("keyvault-svc", stream)
    yield stream
    structlog.reset_defaults()


def _written(stream: io.StringIO, settlement: LeaseSettlement) -> dict[str, object]:
    StructuredSettlementLog(PRICES).write(settlement)
    (line,) = stream.getvalue().splitlines()
    record = json.loads(line)
    assert isinstance(record, dict)
    return record


def test_a_settlement_is_written_whole(stream: io.StringIO) -> None:
    record = _written(stream, SETTLEMENT)

    assert record.pop("time")
    assert record == {
        "event": "lease_settled",
        "level": "info",
        "service": "keyvault-svc",
        "lease": "0" * 32,
        "request_id": "request-0001",
        "key": str(KEY),
        "grant": f"{KEY}/grants/{'1' * 16}",
        "app": str(BILLING),
        "outcome": "served",
        "model": "gpt-4o-2024-08-06",
        "usage_source": "reported",
        "usage_subject": "resp_1",
        "input_tokens": 1000,
        "cached_input_tokens": 400,
        "output_tokens": 500,
        "reasoning_tokens": 30,
        "audio_seconds": 1.5,
        "images": 2,
        "cost_usd": "0.007000",
        "http_status": 200,
        "openai_request_id": "req_1",
        "body_sha256": "01" * 32,
    }


@pytest.mark.parametrize(
    ("usage", "cost"),
    [
        (replace(REPORTED, source=UsageSource.SEEN), "0.000550"),
        (replace(REPORTED, source=UsageSource.RESERVED), "0.000550"),
        (replace(REPORTED, model="unheard-of"), None),
        (replace(REPORTED, source=UsageSource.NONE), None),
    ],
)
def test_a_cost_is_told_where_it_is_known(
    stream: io.StringIO, usage: Usage, cost: str | None
) -> None:
    record = _written(stream, replace(SETTLEMENT, usage=usage))

    assert record.get("cost_usd") == cost


def test_what_a_lease_cost_is_counted_by_its_model() -> None:
    with measured_figures() as figures:
        StructuredSettlementLog(PRICES).write(SETTLEMENT)

        costs = figures.of("keyturn_cost_USD_total")
        settled = figures.of("keyturn_leases_settled_total")

    assert costs == {(("gen_ai_request_model", "gpt-4o"),): pytest.approx(0.007)}
    assert settled == {(("outcome", "served"),): 1}


def test_what_one_object_of_openai_cost_is_counted_once() -> None:
    log = StructuredSettlementLog(PRICES)

    with measured_figures() as figures:
        log.write(SETTLEMENT)
        log.write(replace(SETTLEMENT, lease_id="1" * 32))

        assert sum(figures.of("keyturn_cost_USD_total").values()) == pytest.approx(0.007)
        assert sum(figures.of("keyturn_leases_settled_total").values()) == 2


def test_what_has_no_price_counts_no_cost() -> None:
    usage = replace(USAGE, model="model-of-alice")

    with measured_figures() as figures:
        StructuredSettlementLog(PRICES).write(replace(SETTLEMENT, usage=usage))

        assert figures.of("keyturn_cost_USD_total") == {}
