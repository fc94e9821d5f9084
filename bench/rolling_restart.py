"""What a rolling restart of both services costs their callers.

Runs two pods of each service, each with an address of its own, a name server and a balancer that
know which are ready, and apps that call at a steady rate over gRPC and HTTP. Then every pod is
replaced as Kubernetes does it. Printed is how many calls failed, and how much longer calls took
during the restart of each service than before.

    .venv/bin/python bench/rolling_restart.py --calm-seconds 20
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from keyturn_cli.standin.standin_keys import make_key
from tests.e2e.clients import Clients
from tests.e2e.open_load import Tally, load
from tests.e2e.pod_cluster import pod_cluster, stack_without_services

DRAIN_SECONDS = 60.0
MEASURES = {"median": 0.5, "p99": 0.99}


async def measure(clients: Clients, calm_seconds: float) -> Tally:
    """Call for *calm_seconds*, then during both restarts; print what each phase was like."""
    phases: list[tuple[str, float]] = []

    def begin(name: str) -> None:
        phases.append((name, time.monotonic()))

    async with pod_cluster(clients, replicas=2, drain_seconds=DRAIN_SECONDS) as cluster:
        async with load(clients, cluster.way) as tally:
            await asyncio.sleep(calm_seconds)  # connections are made, code is warm
            begin("before")
            await asyncio.sleep(calm_seconds)
            for deployment in (cluster.keyvault, cluster.gateway):
                begin(f"{deployment.service} restarts")
                await deployment.roll()
            begin("after")
            await asyncio.sleep(calm_seconds)
        for end in (*cluster.keyvault.ends, *cluster.gateway.ends):
            print(f"{end.name} ended with {end.exit_code} after {end.seconds:.1f} s")
    tell(phases, tally)
    return tally


def tell(phases: Sequence[tuple[str, float]], tally: Tally) -> None:
    """Print how long calls took that began in each phase, the first being the measure."""
    base: dict[str, float] = {}
    ends = [begun for _, begun in phases[1:]] + [time.monotonic()]
    for (name, begun), end in zip(phases, ends, strict=True):
        seconds = [took for at, took in tally.seconds if begun <= at < end]
        cells = [f"{name:22} {len(seconds):6} calls"]
        for measure_name, share in MEASURES.items():
            value = statistics.quantiles(seconds, n=100)[round(share * 100) - 1]
            base.setdefault(measure_name, value)
            ratio = value / base[measure_name]
            cells.append(f"{measure_name} {value * 1000:7.1f} ms ({ratio:.2f}x)")
        print("  ".join(cells))


def main() -> int:
    """Run it; return 1 if a call failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--calm-seconds", type=float, default=10.0)
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        stack_without_services(Path(folder), make_key()) as clients,
    ):
        tally = asyncio.run(measure(clients, arguments.calm_seconds))
    print(f"{tally.served.total()} calls served, {tally.failures.total()} failed")
    for (kind, failure), count in tally.failures.items():
        print(f"  {count} x {kind}: {failure}")
    return 1 if tally.failures else 0


if __name__ == "__main__":
    sys.exit(main())
