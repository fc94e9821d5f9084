"""The local stack: OpenBao, both services and an OpenAI stand-in, as processes of this machine."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Final, Self

from keyturn.keyvault.v1.key_pb2 import KEY_STATE_ACTIVE
from keyturn_cli.local.admin_windows import administration
from keyturn_cli.local.bootstrap_run import bootstrap
from keyturn_cli.local.child_process import ChildProcess, stop_recorded
from keyturn_cli.local.client_env import write_client_env
from keyturn_cli.local.errors import AlreadyRunningError, LocalStackError
from keyturn_cli.local.layout import OWNER, Layout, choose_ports
from keyturn_cli.local.local_vault import LocalVault
from keyturn_cli.local.openbao_server import OpenBaoServer
from keyturn_cli.local.pid_file import read_pid_file, write_pid_file
from keyturn_cli.local.seeding import seed
from keyturn_cli.local.service_processes import service_processes, standin_process
from keyturn_cli.local.service_settings import (
    TOKEN_TTL_SECONDS,
    Variant,
    VaultPlace,
    gateway_settings,
    key_service_settings,
)
from keyturn_cli.local.stack_ports import STANDIN_PORT, port_names, ports_of, replica_suffixes
from keyturn_cli.local.upstream import Upstream
from keyturn_cli.local.vault_server import VaultServer
from svc_runtime.clock import SystemClock

SUPERVISOR: Final = "local"  # name of the pid file of the process that holds the stack
_READY_SECONDS: Final = 30.0
_RENEW_AFTER: Final = timedelta(seconds=TOKEN_TTL_SECONDS / 2)
_RENEW_AGAIN_AFTER: Final = timedelta(minutes=1)  # when Vault could not
_WATCH_SECONDS: Final = 0.5


class LocalStack:
    """One stack in one folder; a context manager that stops all that it started.

    Attributes:
        layout: Where its files are.
        openbao: Its OpenBao.
        services: Its other processes by name, in the order of their start.
        ports: Every port, by name.
        variant: What its key services do differently; to be set before the start.
    """

    def __init__(
        self,
        home: Path,
        upstream: Upstream,
        *,
        wanted_ports: Mapping[str, int] | None = None,
        replicas: int = 1,
        is_seeded: bool = True,
        make_vault: Callable[[Layout, Mapping[str, int]], VaultServer] | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Describe the stack; nothing runs yet.

        Args:
            home: Its folder; made if missing.
            upstream: The OpenAI to call.
            wanted_ports: Ports that must be these, by name; see `port_names`.
            replicas: How many processes of each service to run.
            is_seeded: Whether to give the upstream's key into custody and grant it.
            make_vault: Makes the Vault to run, of the layout and the ports; by default one OpenBao.
            say: Takes lines of progress, for people.
        """
        self.layout = Layout(home.absolute())
        self.services: dict[str, ChildProcess] = {}
        self.ports: dict[str, int] = {}
        self.openbao: VaultServer
        self._upstream = upstream
        self._wanted_ports = wanted_ports or {}
        self._replicas = replicas
        self._is_seeded = is_seeded
        self.variant = Variant()
        self._make_vault = make_vault or _one_openbao
        self._say = say
        self._clock = SystemClock()
        self._running = ExitStack()
        self._vault: LocalVault

    @property
    def key_name(self) -> str:
        """Name of the seeded key."""
        return f"users/{OWNER}/keys/{self._upstream.key_id}"

    def __enter__(self) -> Self:
        """Start everything and wait until it serves.

        Raises:
            LocalStackError: Something cannot start; what had started is stopped again.
            CommandError: A wanted port has no such name, or the key service refuses the key.
        """
        try:
            self._start()
        except BaseException:
            self._running.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stop everything, the last started first."""
        self._running.close()

    def watch(self) -> None:
        """Keep certificates and tokens fresh until interrupted.

        Raises:
            LocalStackError: A process has ended by itself.
        """
        # By the wall clock, which also runs while a laptop sleeps: tokens and certificates expire.
        renew_time = self._clock.now() + _RENEW_AFTER
        while True:
            time.sleep(_WATCH_SECONDS)
            for name, child in self.services.items():
                if not child.is_running():
                    raise LocalStackError(
                        f"{name} has ended. The end of {child.log_file}:\n{child.log_tail()}"
                    )
            if self.openbao.pid is None:
                raise LocalStackError(f"openbao has ended; see {self.layout.openbao_dir}")
            if self._clock.now() >= renew_time:
                renew_time = self._clock.now() + self._renew()

    def _renew(self) -> timedelta:
        """Renew what expires; return after how long to do so again."""
        try:
            with self._administration():
                self._vault.renew_certificates()
            self.write_client_env()
        except LocalStackError as error:
            self._say(f"{error} Certificates and tokens were not renewed; trying again.")
            return _RENEW_AGAIN_AFTER
        return _RENEW_AFTER

    def write_client_env(self) -> None:
        """Write what a client needs, with fresh tokens."""
        with self._administration():
            owner_token, app_token = self._vault.owner_token(), self._vault.app_token()
        write_client_env(
            self.layout,
            ports=self.ports,
            key_name=self.key_name,
            openbao=self.openbao,
            owner_token=owner_token,
            app_token=app_token,
        )

    def _administration(self) -> AbstractContextManager[None]:
        return administration(self.layout.windows_file, self._clock)

    def _start(self) -> None:
        layout = self.layout
        for folder in (layout.home, layout.run_dir, layout.logs_dir):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._take_possession()
        names = port_names(self._replicas, has_standin=self._has_standin)
        self.ports = choose_ports(layout.ports_file, names, self._wanted_ports)
        self._say("starting OpenBao")
        self.openbao = self._make_vault(layout, self.ports)
        # Before the start, as for every child: an interrupt may come at any point.
        self._running.callback(self.openbao.stop)
        with self._administration():
            self.openbao.start()
            self._write_settings()
            self._set_up_vault()
        self._say("starting the services")
        self._start_services()
        self.write_client_env()
        if self._is_seeded:
            self._seed()

    def _set_up_vault(self) -> None:
        self._say("setting Vault up for Keyturn")
        bootstrap(self.layout, self.openbao.root_token_file)
        self._vault = LocalVault(self.openbao.client(), self.layout, self._clock)
        self._vault.write_service_logins()
        self._vault.write_signing_keys()
        self._vault.renew_certificates()
        self._vault.ensure_owner()
        if self.variant.asks_second_factor:
            self._vault.enrol_owner(anew=False)
        self._vault.ensure_operators()

    def _seed(self) -> None:
        """Give the upstream's key into custody, and have it verified."""
        self._say("having the key verified")
        api_key, replaces = self._upstream.api_key, self._upstream.is_own_key
        log_in = self._vault.second_factor_token if self.variant.asks_second_factor else None
        seeding = seed(self.layout, self.key_name, api_key, replaces=replaces, log_in=log_in)
        key = asyncio.run(seeding)
        if key is not None and (key.state != KEY_STATE_ACTIVE or key.HasField("incoming")):
            self._say(f"the key was not verified: see `keyturn keys show {self.key_name}`")

    def _take_possession(self) -> None:
        """Record this process as the stack's, unless another one is.

        What a supervisor that was killed left behind is stopped, so that its ports get free.

        Raises:
            AlreadyRunningError: Another one is.
        """
        file = self.layout.run_dir / f"{SUPERVISOR}.pid"
        other = read_pid_file(file)
        if other is not None and other.is_running():
            raise AlreadyRunningError("the local stack", other.pid)
        stop_recorded(self.layout.run_dir)
        write_pid_file(file, os.getpid())
        self._running.callback(file.unlink, missing_ok=True)

    @property
    def _has_standin(self) -> bool:
        return self._upstream.base_url is None

    def _write_settings(self) -> None:
        openbao, suffixes = self.openbao, replica_suffixes(self._replicas)
        vault = VaultPlace(openbao.address, openbao.ca_file, openbao.standby_addresses)
        targets = ",".join(
            f"127.0.0.1:{ports_of(self.ports, f'keyvault{suffix}')['gateway']}"
            for suffix in suffixes
        )
        standin = f"http://127.0.0.1:{self.ports.get(STANDIN_PORT)}/v1"
        for suffix in suffixes:
            ports = ports_of(self.ports, f"keyvault{suffix}")
            self.layout.service_settings(f"keyvault-svc{suffix}").write_text(
                key_service_settings(self.layout, vault, ports, self.variant),
                encoding="utf-8",
            )
            self.layout.service_settings(f"gateway-svc{suffix}").write_text(
                gateway_settings(
                    self.layout,
                    vault,
                    ports_of(self.ports, f"gateway{suffix}"),
                    key_service_target=f"ipv4:{targets}",
                    upstream=self._upstream.base_url or standin,
                    default_key=self.key_name,
                    variant=self.variant,
                ),
                encoding="utf-8",
            )

    def _start_services(self) -> None:
        processes = service_processes(self.layout, self.ports, self._replicas)
        if self._has_standin:
            processes.insert(0, standin_process(self.layout, self.ports))
        for child in (process.child for process in processes):
            self._running.callback(child.stop)
            child.start()
            self.services[child.name] = child
        for process in processes:
            process.child.wait_until_ready(process.is_ready, _READY_SECONDS)


def _one_openbao(layout: Layout, ports: Mapping[str, int]) -> VaultServer:
    return OpenBaoServer(
        layout.openbao_dir,
        layout.run_dir,
        port=ports["vault"],
        cluster_port=ports["vault-cluster"],
    )
