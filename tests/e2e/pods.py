"""Pods of the services, each with an address of its own, replaced as Kubernetes does it."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from keyturn_cli.local.child_process import ChildProcess
from keyturn_cli.local.health_probe import GATEWAY, KEY_SERVICE, HealthProbe
from keyturn_cli.local.stack_ports import ports_of
from tests.e2e.clients import Clients
from tests.live_files import whole_lines

# How long it takes until name server and balancer hear that a pod came or goes.
_PROPAGATION_SECONDS: Final = 0.3
_PRE_STOP_SECONDS: Final = 1.0
# How long a pod has to be ready before the next one may go: for clients to look names up again.
_MIN_READY_SECONDS: Final = 2.0
_START_SECONDS: Final = 60.0
_AFTER_DRAIN_SECONDS: Final = (
    15.0  # of the grace period: settlements, the audit stream's end, Vault
)
_MODULES: Final = {"keyvault": "keyvault_svc", "gateway": "gateway_svc"}
_NUMBERS: Final = itertools.count(1)  # of a session's pods
_PROBED: Final = {"keyvault": KEY_SERVICE, "gateway": GATEWAY}


@dataclass(frozen=True)
class Release:
    """The code that a pod runs.

    Attributes:
        python: Interpreter that finds the services.
        unknown_settings: Settings and tables of settings that its services do not know yet.
    """

    python: Path = Path(sys.executable)
    unknown_settings: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Pod:
    """One process of a service, and its address.

    Attributes:
        address: One of 127.0.0.0/8. All pods of a service have the same ports.
    """

    name: str
    address: str
    child: ChildProcess
    is_ready: HealthProbe


@dataclass(frozen=True)
class End:
    """How a pod ended.

    Attributes:
        seconds: From SIGTERM to the end.
    """

    name: str
    exit_code: int
    seconds: float


@dataclass
class Deployment:
    """The pods of one service; made of a stack's settings for it.

    Attributes:
        service: `keyvault` or `gateway`.
        settings: Top-level settings of its pods that differ from the stack's, as TOML's values.
        target: Where its pods find the key service; empty for where the stack's do.
        release: What pods run that are started from now on.
        endpoints: Addresses of the pods that others are told of.
        pods: Those that are to go on.
        ends: How others ended.
        names: Those of all that there were.
    """

    clients: Clients
    service: str
    settings: Mapping[str, object]
    target: str = ""
    release: Release = field(default_factory=Release)
    endpoints: list[str] = field(default_factory=list)
    pods: list[Pod] = field(default_factory=list)
    ends: list[End] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    _ending: list[Pod] = field(default_factory=list)

    @property
    def drain_seconds(self) -> float:
        return float(str(self.settings["drain_seconds"]))

    @property
    def ports(self) -> dict[str, int]:
        """Its ports, by name, such as `grpc`."""
        return ports_of(self.clients.stack.ports, self.service)

    async def scale(self, count: int) -> None:
        """Start so many pods; return once they are known."""
        self.pods += await asyncio.gather(*(self._start() for _ in range(count)))
        await asyncio.sleep(_PROPAGATION_SECONDS)

    async def roll(self) -> None:
        """Replace every pod, one after the other; return once the last old one has ended.

        The new one comes first. An old one ends while the next new one comes.
        """
        old, self.pods = self.pods, []
        async with asyncio.TaskGroup() as endings:
            for pod in old:
                await self.scale(1)
                await asyncio.sleep(_MIN_READY_SECONDS)
                endings.create_task(self._end(pod))

    async def end(self, pod: Pod) -> End:
        """End *pod*, and return how it did."""
        self.pods.remove(pod)
        await self._end(pod)
        return self.ends[-1]

    def lines(self, event: str) -> list[dict[str, Any]]:
        """Return the lines of all pods' logs that tell *event*."""
        return [line for name in self.names for line in self.log(name) if line["event"] == event]

    def log(self, name: str) -> list[dict[str, Any]]:
        """Return the log of the pod *name*."""
        log = self.clients.stack.layout.logs_dir / f"{name}.log"
        return [json.loads(line) for line in whole_lines(log)]

    def stop(self) -> None:
        """Stop every pod that still runs."""
        for pod in (*self.pods, *self._ending):
            pod.child.stop()

    async def _start(self) -> Pod:
        number = next(_NUMBERS)
        address, name = f"127.0.1.{number}", f"{self.service}-svc-pod-{number}"
        layout = self.clients.stack.layout
        self.names.append(name)
        file = layout.service_settings(name)
        file.write_text(self._settings_at(address), encoding="utf-8")
        module = _MODULES[self.service]
        child = ChildProcess(
            name,
            [self.release.python, "-m", module, "serve", "--config", file],
            run_dir=layout.run_dir,
            log_file=layout.logs_dir / f"{name}.log",
            working_dir=layout.home,  # where no code is
        )
        probe = HealthProbe(self.ports["health"], _PROBED[self.service], host=address)
        pod = Pod(name, address, child, probe)
        self._ending.append(pod)  # until it is ready nobody else would stop it
        await asyncio.to_thread(child.start)
        await asyncio.to_thread(child.wait_until_ready, probe, _START_SECONDS)
        self._ending.remove(pod)
        asyncio.get_running_loop().call_later(
            _PROPAGATION_SECONDS, self.endpoints.append, pod.address
        )
        return pod

    async def _end(self, pod: Pod) -> None:
        self._ending.append(pod)
        asyncio.get_running_loop().call_later(
            _PROPAGATION_SECONDS, self.endpoints.remove, pod.address
        )
        await asyncio.sleep(_PRE_STOP_SECONDS)
        assert pod.child.pid is not None
        told = time.monotonic()
        os.kill(pod.child.pid, signal.SIGTERM)
        code = await asyncio.to_thread(pod.child.wait, self.drain_seconds + _AFTER_DRAIN_SECONDS)
        self.ends.append(End(pod.name, code, time.monotonic() - told))
        self._ending.remove(pod)
        pod.child.stop()  # removes its pid file

    def _settings_at(self, address: str) -> str:
        text = self.clients.stack.layout.service_settings(f"{self.service}-svc").read_text("utf-8")
        for port in self.ports.values():
            text = text.replace(f'"127.0.0.1:{port}"', f'"{address}:{port}"')
        if self.target:
            text = re.sub(r'(?m)^"target" = .*$', f'"target" = "{self.target}"', text)
        # A machine that is busy with tests is slower than Vault may be.
        text = re.sub(r"(?m)^\[vault\]$", '[vault]\n"request_timeout_seconds" = 30', text)
        for name, value in self.settings.items():
            text = re.sub(rf"(?m)^{name} = .*\n", "", text)
            text = f"{name} = {value}\n{text}"
        for name in self.release.unknown_settings:
            text = re.sub(rf"(?m)^{name} = .*\n", "", text)
            text = re.sub(rf"(?ms)^\[+{name}\b.*?(?=^\[|\Z)", "", text)
        return text
