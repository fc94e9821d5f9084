"""The checks that Vault is still set up as `keyvault-svc bootstrap` left it, step by step."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

from keyturn_cli.check_result import CheckResult, ok, problem, skipped
from keyturn_cli.client_settings import ClientSettings
from keyturn_cli.local.admin_windows import administration
from keyturn_cli.local.layout import Layout
from svc_runtime.clock import SystemClock

SET_UP_CHECK: Final = "Vault set-up"
AUDIT_CHECK: Final = "Vault audit device"
HEADERS_CHECK: Final = "Vault audited headers"
LOGINS_CHECK: Final = "Vault logins and token TTLs"
# Steps that have a check of their own also when they are right.
_CHECKS: Final = {"audit device": AUDIT_CHECK, "audited request headers": HEADERS_CHECK}
_LOGINS: Final = ("AppRole ", "Kubernetes role ", "certificate login ", "JWT role ")
_RIGHT: Final = "as bootstrap left it"
_UNREADABLE: Final = "could not be compared (see the command's own message)"
_LIMIT_SECONDS: Final = 30.0

Row = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class AdminAccess:
    """What an operator names on the command line, to compare Vault with its set-up.

    Attributes:
        config: Settings of the key service; by default `keyvault_svc.toml` beside `client.env`.
        token_file: An administrator's token; by default that of the local stack.
    """

    config: Path | None = None
    token_file: Path | None = None


async def check_drift(settings: ClientSettings, access: AdminAccess) -> list[CheckResult]:
    """Let `keyvault-svc` compare, where its settings and an administrator's token are at hand."""
    config = access.config or settings.env_file.parent / "keyvault_svc.toml"
    if not config.is_file():
        return [skipped(SET_UP_CHECK, f"no settings of the key service in {config}; see --config")]
    program = _program()
    if program is None:
        return [skipped(SET_UP_CHECK, "keyvault-svc is not installed here")]
    stack = Layout(config.parent)
    token_file = access.token_file or stack.openbao_dir / "root-token"
    if not token_file.is_file():
        reason = f"no administrator's token in {token_file}; see --vault-token-file"
        return [skipped(SET_UP_CHECK, reason)]
    if access.token_file is not None:
        return await _compare(program, config, token_file)
    with administration(stack.windows_file, SystemClock()):
        return await _compare(program, config, token_file)


async def _compare(program: str, config: Path, token_file: Path) -> list[CheckResult]:
    command = f"keyvault-svc bootstrap --config {config} --token-file {token_file}"
    process = await asyncio.create_subprocess_exec(
        program,
        *("bootstrap", "--config", config, "--token-file", token_file, "--dry-run", "--json"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(_LIMIT_SECONDS):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return [problem(SET_UP_CHECK, "keyvault-svc bootstrap --dry-run does not end", command)]
    return judge_drift(output, command)


def judge_drift(output: bytes, command: str) -> list[CheckResult]:
    """Say what a dry run found, from its JSON list of steps.

    Returns:
        A problem for each step that is not right; what is right, in a few lines.
    """
    rows = _rows(output)
    if not rows:
        return [problem(SET_UP_CHECK, _UNREADABLE, f"{command} --dry-run")]
    return [
        *(_judge_special(row, command) for row in rows if row["name"] in _CHECKS),
        *(
            _judge_wrong(f"{SET_UP_CHECK}: {row['name']}", row, command)
            for row in rows
            if row["name"] not in _CHECKS and row["outcome"] != "ok"
        ),
        *_judge_right(rows),
    ]


def _judge_special(row: Row, command: str) -> CheckResult:
    name = _CHECKS[row["name"]]
    if row["outcome"] == "ok":
        return ok(name, row["detail"] or _RIGHT)
    return _judge_wrong(name, row, command)


def _judge_wrong(name: str, row: Row, command: str) -> CheckResult:
    match row["outcome"]:
        case "manual":  # what is missing, a colon, and what an administrator can do about it
            found, _, advice = row["detail"].partition(": ")
            return problem(name, found, advice or command)
        case "failed":
            return problem(name, row["detail"], row.get("remedy") or command)
        case _:
            return problem(name, row["detail"] or "differs", command)


def _judge_right(rows: Sequence[Row]) -> list[CheckResult]:
    others = [row for row in rows if row["name"] not in _CHECKS]
    logins = [row for row in others if row["name"].startswith(_LOGINS)]
    results = []
    if logins and all(row["outcome"] == "ok" for row in logins):
        results.append(ok(LOGINS_CHECK, f"{len(logins)} roles as bootstrap left them"))
    right = sum(row["outcome"] == "ok" for row in others)
    if any(row["outcome"] == "failed" for row in rows):
        results.append(skipped(SET_UP_CHECK, "the steps after the failed one were not compared"))
    elif right == len(others):
        results.append(ok(SET_UP_CHECK, f"{right} steps as bootstrap left them"))
    return results


def _rows(output: bytes) -> list[Row]:
    """Return the steps; none when the output is no list of them."""
    try:
        rows = json.loads(output)
    except ValueError:
        return []
    fields = {"name", "outcome", "detail"}
    if not isinstance(rows, list) or not all(
        isinstance(r, dict) and fields <= set(r) for r in rows
    ):
        return []
    return cast("list[Row]", rows)


def _program() -> str | None:
    beside = Path(sys.executable).parent / "keyvault-svc"
    return str(beside) if beside.is_file() else shutil.which("keyvault-svc")
