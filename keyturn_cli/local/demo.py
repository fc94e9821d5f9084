"""The demo: the main job once, step by step, with the real command and the real SDK."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Final

import click

from keyturn_cli.client_settings import read_env_file
from keyturn_cli.exit_codes import ExitCode
from keyturn_cli.local.child_process import INHERITED_VARIABLES
from keyturn_cli.local.errors import LocalStackError
from keyturn_cli.local.layout import DEMO_APP, OTHER_APP, OWNER, Layout
from keyturn_cli.local.local_vault import SERVICES
from keyturn_cli.local.stack import LocalStack
from keyturn_cli.local.status import StackStatus
from keyturn_cli.local.upstream import Upstream

_KEY: Final = f"users/{OWNER}/keys/demo"
_SDK_EXAMPLE: Final = Path(__file__).parents[2] / "examples" / "python-openai" / "chat.py"
_STEP_SECONDS: Final = 60.0
_MARK: Final = "demo"  # file that a demo leaves in its folder, so that the next may empty it


def run_demo(home: Path) -> None:
    """Run the demo in a stack of its own in *home*, which is emptied first.

    Raises:
        CommandError: The environment names an upstream that cannot be used.
        LocalStackError: *home* holds something else, the stack cannot start, or a step did not end
            as it must.
    """
    upstream = Upstream.of_environment()
    _empty(home)
    with LocalStack(home, upstream, is_seeded=False, say=_say) as stack:
        _Demo(stack, upstream).run()
    click.echo(f"\nNothing is left running. The demo's files are in {home}.")


def _empty(home: Path) -> None:
    """Make *home* an empty folder of a demo; one given by mistake keeps its files."""
    mark = home / _MARK
    if home.exists():
        if not mark.exists() and any(home.iterdir()):
            raise LocalStackError(f"{home} holds something else; choose another folder for --home")
        if StackStatus.of(Layout(home.absolute())).processes:
            raise LocalStackError(f"a demo runs in {home}; choose another folder for --home")
        shutil.rmtree(home)
    home.mkdir(mode=0o700, parents=True)
    mark.touch()


class _Demo:
    def __init__(self, stack: LocalStack, upstream: Upstream) -> None:
        self._stack = stack
        self._upstream = upstream
        self._environment = {
            name: os.environ[name]  # noqa: TID251 - what a shell needs, and nothing of OpenAI's
            for name in (*INHERITED_VARIABLES, "TERM", "COLUMNS")
            if name in os.environ  # noqa: TID251 - as above
        } | {"KEYTURN_CLIENT_ENV": str(stack.layout.client_env), "KEYTURN_KEY": _KEY}

    def run(self) -> None:
        """Do as users would."""
        password = self._stack.layout.password_file.read_bytes()
        _title(1, "The owner logs in and gives a key into custody")
        self._keyturn("login", "--user", OWNER, "--password-stdin", stdin=password)
        self._keyturn("keys", "add", "demo", "--stdin", stdin=self._upstream.api_key.expose())

        _title(2, "The owner grants one app the use of it")
        granting = ("--app", DEMO_APP, "--model", "*", "--endpoint", "*", "--yes")
        self._keyturn("grants", "add", "demo", *granting)

        _title(3, "The app calls OpenAI over gRPC, without ever seeing the key")
        request_id = uuid.uuid4().hex
        self._keyturn("chat", "Who am I?", "--no-stream", "--receipt", "--request-id", request_id)

        _title(4, "The same, streamed")
        self._keyturn("chat", "Count from one to five, please")

        _title(5, "The same through the unmodified openai SDK, over HTTP")
        self._sdk("Say hello to the SDK")

        _title(6, "Another app is refused")
        certificate, key = self._stack.layout.certificate(f"app-{OTHER_APP.rpartition('/')[2]}")
        other = {"KEYTURN_CERT": str(certificate), "KEYTURN_CERT_KEY": str(key)}
        self._keyturn("chat", "Me too?", expected=ExitCode.REFUSED, environment=other)

        _title(7, "The owner revokes the grant; it holds from the next call on")
        grant = self._only_grant()
        self._keyturn("grants", "revoke", grant)
        self._keyturn("chat", "One more?", expected=ExitCode.REFUSED)

        _title(8, "Vault's own audit log says who used the key")
        self._keyturn("audit", "trail", request_id)
        self._show_that_no_file_holds_the_key()

        _title(9, "All logs are verified: every key was used within the rules")
        self._end_the_services()
        self._keyturn("audit", "verify")
        self._say_what_was_verified()

    def _only_grant(self) -> str:
        answer = self._run([*self._command(), "grants", "list", "demo", "--json"], b"", {})
        return str(json.loads(answer.stdout)["grants"][0]["name"])

    def _show_that_no_file_holds_the_key(self) -> None:
        key = self._upstream.api_key
        files = [path for path in self._stack.layout.home.rglob("*") if path.is_file()]
        holders = [path for path in files if key.expose() in path.read_bytes()]
        lines = len(self._stack.openbao.audit_log.read_bytes().splitlines())
        if holders:
            raise LocalStackError(f"the key stands in {', '.join(map(str, holders))}")
        click.echo(
            f"Searched for the key: 0 occurrences in the {lines} lines of Vault's audit log, "
            f"and in {len(files)} files of the stack."
        )

    def _end_the_services(self) -> None:
        """End both services, so that Vault signs their audit streams to the last line."""
        for name in reversed(SERVICES):
            self._stack.services[name].stop()

    def _say_what_was_verified(self) -> None:
        layout = self._stack.layout
        logs = [layout.logs_dir / f"{name}.log" for name in SERVICES]
        lines = [json.loads(line) for log in logs for line in log.read_bytes().splitlines()]
        chained = sum("chain" in line for line in lines)
        signed = sum("signature" in line for line in lines)
        windows = len(layout.windows_file.read_text(encoding="ascii").splitlines())
        click.echo(
            f"Verified: Vault's audit log with those of {' and '.join(SERVICES)}. Each decrypt "
            f"has its lease, its read and its call. Their {chained} lines of evidence are whole, "
            f"by {signed} signatures of Vault. Administrators worked in {windows} announced times "
            "only."
        )

    def _keyturn(
        self,
        *arguments: str,
        stdin: bytes = b"",
        expected: ExitCode = ExitCode.OK,
        environment: dict[str, str] | None = None,
    ) -> None:
        shown = " ".join(f'"{word}"' if " " in word or "*" in word else word for word in arguments)
        click.echo(f"$ keyturn {shown}" + ("   # reads standard input" if stdin else ""))
        self._show([*self._command(), *arguments], stdin, environment or {}, expected)

    def _sdk(self, question: str) -> None:
        click.echo(f'$ python examples/python-openai/chat.py "{question}"')
        variables = read_env_file(self._stack.layout.client_env) | {"KEYTURN_KEY": _KEY}
        self._show([sys.executable, str(_SDK_EXAMPLE), question], b"", variables, ExitCode.OK)

    def _show(
        self, command: list[str], stdin: bytes, environment: dict[str, str], expected: ExitCode
    ) -> None:
        answer = self._run(command, stdin, environment)
        for line in (answer.stdout + answer.stderr).decode(errors="replace").splitlines():
            click.echo(f"  {line}")
        if answer.returncode != expected:
            raise LocalStackError(
                f"the step ended with exit code {answer.returncode} in place of {expected}"
            )

    def _run(
        self, command: list[str], stdin: bytes, environment: dict[str, str]
    ) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            env=self._environment | environment,
            timeout=_STEP_SECONDS,
            check=False,
        )

    @staticmethod
    def _command() -> list[str]:
        return [sys.executable, "-m", "keyturn_cli"]


def _title(number: int, text: str) -> None:
    click.echo(f"\n{number}. {text}")


def _say(line: str) -> None:
    click.echo(f"... {line}")
