"""What Prometheus would read from the services of a stack."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

import aiohttp

from tests.e2e.clients import Clients
from tests.fakes.figures import Sample, samples

Service: TypeAlias = Literal["gateway", "keyvault"]
REPLICAS = (1, 2)


async def exposed(clients: Clients, service: Service, replica: int) -> str:
    """Return what one replica of *service* shows."""
    port = clients.port(service, "metrics", replica)
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/metrics") as answer,
    ):
        assert answer.status == 200
        return await answer.text()


async def scrape(clients: Clients, service: Service) -> Mapping[Sample, float]:
    """Return the figures of *service*, added up over its replicas, empty labels left out."""
    figures: dict[Sample, float] = {}
    for replica in REPLICAS:
        for sample, value in samples(await exposed(clients, service, replica)):
            figures[sample] = figures.get(sample, 0.0) + value
    return figures


def total(figures: Mapping[Sample, float], name: str, **labels: str) -> float:
    """Return the sum of the series called *name* that have all of *labels*."""
    wanted = set(labels.items())
    return sum(v for (found, have), v in figures.items() if found == name and wanted <= have)
