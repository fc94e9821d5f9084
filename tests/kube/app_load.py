"""Calls of the app while something happens to the cluster."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from tests.kube.cluster import APP, Cluster
from tests.kube.installation import KEY
from tests.kube.pod import python

CALLS_PER_SECOND: Final = 50
_END_SECONDS: Final = 60


@dataclass
class Tally:
    """What became of the calls: once they have ended.

    Attributes:
        served: How many, by kind.
        failures: What was heard instead, `<kind>: <what>`.
        seconds: For how long they were made.
        lag: By how many seconds the app itself was late, at most.
    """

    served: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    lag: float = 0.0


@contextmanager
def load(cluster: Cluster, rate: float = CALLS_PER_SECOND) -> Iterator[Tally]:
    """Let the app call, *rate* times a second, for as long as the context lasts."""
    tally = Tally()
    program = python("tests.kube.programs.app_load", f"/etc/{APP.name}-demo", KEY, str(rate))
    with cluster.pods[APP.name].background(*program) as process:
        yield tally
        output, _ = process.communicate(timeout=_END_SECONDS)
    said = json.loads(output)
    tally.served.update(said["served"])
    tally.failures.update(said["failures"])
    tally.seconds, tally.lag = said["seconds"], said["lag"]
