"""The check that Vault is still set up as `keyvault-svc bootstrap` left it."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from pathlib import Path
from typing import Final

from keyturn_cli.check_result import CheckResult, ok, problem, skipped
from keyturn_cli.client_settings import ClientSettings

SET_UP_CHECK: Final = "Vault set-up"
_NO_DRIFT: Final = 0
_DRIFT: Final = 3
_UNMET: Final = frozenset({"drift", "manual"})
_LIMIT_SECONDS: Final = 30.0


async def check_drift(settings: ClientSettings) -> CheckResult:
    """Let `keyvault-svc` compare, where its settings lie beside `client.env`."""
    config = settings.env_file.parent / "keyvault_svc.toml"
    if not config.is_file():
        return skipped(SET_UP_CHECK, "no keyvault_svc.toml beside client.env; operators check this")
    program = _program()
    if program is None:
        return skipped(SET_UP_CHECK, "keyvault-svc is not installed here")
    token_file = config.parent / "openbao" / "root-token"
    if not token_file.is_file():
        return skipped(
            SET_UP_CHECK, f"no administrator's token in {token_file}; operators check this"
        )
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
        return problem(SET_UP_CHECK, "keyvault-svc bootstrap --dry-run does not end", command)
    return judge_drift(process.returncode, output, command)


def judge_drift(return_code: int | None, output: bytes, mend: str) -> CheckResult:
    """Say what a dry run found, from its exit code and its JSON list of steps."""
    if return_code == _NO_DRIFT:
        return ok(SET_UP_CHECK, "as bootstrap left it")
    if return_code != _DRIFT:
        return problem(SET_UP_CHECK, "could not be compared (see the command's own message)", mend)
    return problem(
        SET_UP_CHECK, f"differs: {', '.join(_drifted(output)) or 'see the command'}", mend
    )


def _drifted(output: bytes) -> list[str]:
    """Return the names of the steps that would change something."""
    try:
        steps = json.loads(output)
        return [str(step["name"]) for step in steps if step["outcome"] in _UNMET]
    except (ValueError, KeyError, TypeError):
        return []


def _program() -> str | None:
    beside = Path(sys.executable).parent / "keyvault-svc"
    return str(beside) if beside.is_file() else shutil.which("keyvault-svc")
