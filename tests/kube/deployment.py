"""What Kubernetes does with a Deployment of the chart: pods, probes, endpoints, replacement."""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

from keyturn_cli.local.health_probe import HealthProbe
from tests.kube.pod import Pod

Object = Mapping[str, Any]

_START_SECONDS: Final = 90.0


@dataclass(frozen=True)
class End:
    """How a pod ended; *seconds* from SIGTERM on."""

    pod: Pod
    exit_code: int
    seconds: float


@dataclass
class Deployment:
    """The pods of one Deployment.

    Attributes:
        spec: That of the rendered object.
        make_pod: Makes a pod of the template, and its network.
        tell: Is called when the pods that are ready have changed.
        part: Takes the network of a pod away.
        pods: Those that are to go on.
        ready: Those that Services lead to.
        made: All that there were.
        ends: How others ended.
    """

    spec: Object
    make_pod: Callable[[], Pod]
    tell: Callable[[], None]
    part: Callable[[Pod], None]
    pods: list[Pod] = field(default_factory=list)
    ready: list[Pod] = field(default_factory=list)
    made: list[Pod] = field(default_factory=list)
    ends: list[End] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def template(self) -> Object:
        """The spec of its pods."""
        spec: Object = self.spec["template"]["spec"]
        return spec

    @property
    def container(self) -> Object:
        """The one container of its pods."""
        [container] = self.template["containers"]
        return dict(container)

    @property
    def cut_seconds(self) -> float:
        """How long after SIGTERM Kubernetes kills."""
        return float(self.template["terminationGracePeriodSeconds"] - self._pre_stop_seconds)

    def start(self) -> None:
        """Start all replicas, and wait until they are ready."""
        with ThreadPoolExecutor() as starting:
            self.pods = list(starting.map(lambda _: self._start(), range(self.spec["replicas"])))

    def roll(self, min_ready_seconds: float | None = None) -> None:
        """Replace every pod: one more than there are to be, and never one less.

        An old one is told to end when a new one has been ready for long enough, and does so while
        the next comes.

        Args:
            min_ready_seconds: How long that is, instead of what the chart says.
        """
        self._check_strategy()
        wait = self.spec["minReadySeconds"] if min_ready_seconds is None else min_ready_seconds
        old, self.pods = self.pods, []
        with ThreadPoolExecutor() as ending:
            done = []
            for pod in old:
                self.pods.append(self._start())
                time.sleep(wait)
                done.append(ending.submit(self.end, pod))
            for one in done:
                one.result()

    def end(self, pod: Pod) -> None:
        """End *pod*: out of the Services, `preStop`, SIGTERM; SIGKILL where that is too slow."""
        self._change(lambda: self.ready.remove(pod))
        time.sleep(self._pre_stop_seconds)
        assert pod.process.pid is not None
        told = time.monotonic()
        os.kill(pod.process.pid, signal.SIGTERM)
        code = pod.process.wait(self.cut_seconds)
        self.ends.append(End(pod, code, time.monotonic() - told))
        pod.process.stop(0)
        self.part(pod)

    def kill(self) -> None:
        """End every pod at once."""
        for pod in self.made:
            pod.process.stop(0)

    def _check_strategy(self) -> None:
        """Raise ValueError for a strategy that is not the one that `roll` knows."""
        update = self.spec["strategy"]["rollingUpdate"]
        surge = str(update["maxSurge"])
        if surge.endswith("%"):
            surge = str(math.ceil(self.spec["replicas"] * int(surge[:-1]) / 100))
        if surge != "1" or update["maxUnavailable"] != 0:
            raise ValueError(f"no such update is known here: {update}")

    @property
    def _pre_stop_seconds(self) -> float:
        return float(self.container["lifecycle"]["preStop"]["sleep"]["seconds"])

    def _start(self) -> Pod:
        with self._lock:
            pod = self.make_pod()
            self.made.append(pod)
        pod.process.start()
        probe = self.container["readinessProbe"]["grpc"]
        is_ready = HealthProbe(probe["port"], probe["service"], host=pod.address.ip)
        pod.process.wait_until_ready(is_ready, _START_SECONDS)
        self._change(lambda: self.ready.append(pod))
        return pod

    def _change(self, change: Callable[[], None]) -> None:
        with self._lock:
            change()
            self.tell()
