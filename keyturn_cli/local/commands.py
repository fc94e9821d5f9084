"""`keyturn local`: the stack on this machine."""

from __future__ import annotations

import shlex
import signal
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

import click

from keyturn_cli.command_error import CommandError
from keyturn_cli.commands.command_line import examples, json_option
from keyturn_cli.exit_codes import ExitCode
from keyturn_cli.local.admin_windows import administration
from keyturn_cli.local.child_process import stop_recorded
from keyturn_cli.local.demo import run_demo
from keyturn_cli.local.errors import LocalStackError
from keyturn_cli.local.layout import OWNER, Layout, read_ports
from keyturn_cli.local.local_vault import LocalVault
from keyturn_cli.local.openbao_server import OpenBaoServer
from keyturn_cli.local.service_settings import Variant
from keyturn_cli.local.stack import SUPERVISOR, LocalStack
from keyturn_cli.local.status import StackStatus
from keyturn_cli.local.upstream import Upstream
from keyturn_cli.printing import one_line, print_fields, print_json
from svc_runtime.clock import SystemClock

_STOP_SECONDS: Final = 30.0
_STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_DEFAULT_HOME: Final = Path(".keyturn")
_KEYTURN: Final = ".venv/bin/keyturn"

_home = click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    default=_DEFAULT_HOME,
    show_default=True,
    help="Folder that holds all state of the stack.",
)


@click.group(name="local")
def local_group() -> None:
    """Run Keyturn on this machine: OpenBao, both services and an OpenAI stand-in.

    With OPENAI_API_KEY set, the real OpenAI is called with that key; KEYTURN_OPENAI_BASE_URL names
    another server to call.
    """


@local_group.command(
    epilog=examples(
        "keyturn local up",
        "keyturn local up --port gateway-http=8443",
        "keyturn local up --home second --second-factor",
    )
)
@_home
@click.option(
    "--port",
    "ports",
    multiple=True,
    metavar="NAME=PORT",
    help="Take this port, such as gateway-http=8443; others are free ones.",
)
@click.option(
    "--second-factor",
    is_flag=True,
    help="Ask for a code of an authenticator app before keys are added, rotated or deleted, and "
    "before a grant is widened.",
)
def up(home: Path, ports: tuple[str, ...], *, second_factor: bool) -> None:
    """Start the stack and keep it until Ctrl-C or `keyturn local down`."""
    wanted_ports = dict(_port(text) for text in ports)
    stack = LocalStack(home, Upstream.of_environment(), wanted_ports=wanted_ports, say=click.echo)
    stack.variant = Variant(asks_second_factor=second_factor)
    _stop_in_order_when_told_to()
    try:
        with stack:
            _watch(stack)
    except LocalStackError as error:
        _fail(error)
    click.echo("stopped")


@local_group.command(epilog=examples("keyturn local down", "keyturn local down --home second"))
@_home
def down(home: Path) -> None:
    """Stop the stack of `keyturn local up`, from any terminal."""
    stopped = stop_recorded(
        Layout(home.absolute()).run_dir, first=SUPERVISOR, grace_seconds=_STOP_SECONDS
    )
    click.echo(f"stopped: {', '.join(stopped)}" if stopped else "nothing was running")


@local_group.command(epilog=examples("keyturn local enrol", "keyturn local enrol --anew"))
@_home
@click.option("--anew", is_flag=True, help="Replace the second factor of before.")
def enrol(home: Path, *, anew: bool) -> None:
    """Show what an authenticator app takes, so that the demo owner has a second factor.

    `keyturn login --fresh` asks for its codes.
    """
    layout = Layout(home.absolute())
    ports = read_ports(layout.ports_file)
    if not StackStatus.of(layout).is_up or "vault" not in ports:
        raise CommandError(
            f"The stack in {home} is not up.",
            ExitCode.UNAVAILABLE,
            hint="`keyturn local up` starts it.",
        )
    server = OpenBaoServer(layout.openbao_dir, layout.run_dir, port=ports["vault"], cluster_port=0)
    clock = SystemClock()
    try:
        with administration(layout.windows_file, clock):
            uri = LocalVault(server.client(), layout, clock).enrol_owner(anew=anew)
    except LocalStackError as error:
        _fail(error)
    click.echo(uri)
    click.echo(f"It is kept in {layout.second_factor_file}.", err=True)


@local_group.command(epilog=examples("keyturn local status", "keyturn local status --json"))
@_home
@json_option
def status(home: Path, *, as_json: bool) -> None:
    """Tell what runs and where. Exit code 7 when the stack is not up."""
    found = StackStatus.of(Layout(home.absolute()))
    if as_json:
        print_json(found.document())
    elif found.processes:
        print_fields([(name, f"process {pid}") for name, pid in found.processes.items()])
        click.echo()
        print_fields([(name, f"127.0.0.1:{port}") for name, port in found.ports.items()])
    if not found.is_up:
        click.echo(f"The stack in {home} is not up. `keyturn local up` starts it.", err=True)
        click.get_current_context().exit(ExitCode.PROBLEMS_FOUND)


@local_group.command(epilog=examples("keyturn local demo"))
@click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    default=_DEFAULT_HOME / "demo",
    show_default=True,
    help="Folder of the demo's own stack; emptied at the start.",
)
def demo(home: Path) -> None:
    """Show the main job once, in a stack of its own, and stop."""
    _stop_in_order_when_told_to()
    try:
        run_demo(home)
    except LocalStackError as error:
        _fail(error)


def _watch(stack: LocalStack) -> None:
    """Tell how to use the stack, then keep it until somebody stops it, which is its normal end."""
    try:
        _tell(stack)
        stack.watch()
    except KeyboardInterrupt:
        click.echo("stopping")


def _fail(error: LocalStackError) -> NoReturn:
    """Tell of *error*, with the log lines that it carries, and end the command."""
    text, _, log_lines = str(error).partition("\n")
    click.echo(f"error: {one_line(text)}", err=True)
    for line in log_lines.splitlines():
        click.echo(f"  {one_line(line)}", err=True)
    click.get_current_context().exit(ExitCode.UNAVAILABLE)


def _stop_in_order_when_told_to() -> None:
    """Let the signals that end a process end it as Ctrl-C does: after stopping the stack."""
    for number in _STOP_SIGNALS:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup
            signal.signal(number, _interrupt)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """End the stack in order; further signals do not disturb that."""
    for number in _STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _port(text: str) -> tuple[str, int]:
    name, equals, port = text.partition("=")
    if not equals or not port.isdecimal() or not 0 < int(port) < 65536:  # noqa: PLR2004 - TCP
        raise CommandError(f"--port {text}: must read NAME=PORT", ExitCode.USAGE)
    return name, int(port)


def _tell(stack: LocalStack) -> None:
    layout = stack.layout
    is_default = layout.home == _DEFAULT_HOME.absolute()
    down = "make down" if is_default else f"{_KEYTURN} local down --home {_quoted(layout.home)}"
    click.echo(
        f"""
Keyturn is up. In another terminal:

  source {_quoted(layout.client_env)}
  {_KEYTURN} chat "Hello"          # the demo app calls OpenAI with {OWNER}'s key
  {_KEYTURN} keys list             # {OWNER}'s keys; `login` asks for {layout.password_file}

  gRPC   {stack.ports["gateway-grpc"]}    HTTPS  {stack.ports["gateway-http"]}    \
owners {stack.ports["keyvault-owner"]}    Vault  {stack.openbao.address}
  logs   {layout.logs_dir}

Stop it with Ctrl-C here or `{down}` elsewhere."""
    )


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
