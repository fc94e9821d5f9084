"""Checks of Vault: reachable, unsealed, and of one mind with this machine about the time."""

from __future__ import annotations

from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from keyturn_cli.check_result import CheckResult, ok, problem, skipped
from keyturn_cli.client_settings import ClientSettings
from keyturn_cli.command_error import CommandError
from keyturn_cli.exit_codes import ExitCode
from keyturn_cli.settings_check import not_configured
from keyturn_cli.vault_http import vault_http
from svc_runtime.clock import Clock

# Leases live for 10 seconds by default: clocks that differ by more break them.
MAX_SKEW: Final = timedelta(seconds=10)
_START: Final = "Start it (`keyturn local up`), or check VAULT_ADDR with your operator."
# Statuses of sys/health, by Vault's API documentation.
_SERVING: Final = {200: "unsealed and active", 429: "unsealed, standby", 473: "unsealed, standby"}
_NOT_SERVING: Final = {
    472: ("is a disaster-recovery secondary", "Point VAULT_ADDR at the primary."),
    501: ("is not initialised", "Run `keyturn local up`, or initialise it."),
    503: ("is sealed", "Unseal it; the local stack unseals itself when it is started again."),
}


async def check_vault(
    settings: ClientSettings, clock: Clock, timeout_seconds: float
) -> list[CheckResult]:
    """Check Vault's health and its clock."""
    if settings.get("VAULT_ADDR") is None:
        return [not_configured(check, "VAULT_ADDR") for check in ("Vault", "clock")]
    try:
        async with vault_http(settings, timeout_seconds) as vault:
            begin = clock.now()
            answer = await vault.call("GET", "sys/health")
            end = clock.now()
    except CommandError as error:
        is_down = error.exit_code == ExitCode.UNAVAILABLE
        return [
            problem("Vault", error.text, _START if is_down else error.hint),
            skipped("clock", "Vault tells no time"),
        ]
    return [_judge_health(answer.status), judge_clock(answer.date, begin, end)]


def _judge_health(status: int) -> CheckResult:
    if status in _SERVING:
        return ok("Vault", _SERVING[status])
    found, mend = _NOT_SERVING.get(
        status, (f"answers HTTP {status}", "Check that VAULT_ADDR is a Vault or OpenBao.")
    )
    return problem("Vault", found, mend)


def judge_clock(date: str, begin: datetime, end: datetime) -> CheckResult:
    """Compare the `Date` header, in whole seconds, with this machine's clock around the call."""
    try:
        vault_time = parsedate_to_datetime(date)
    except ValueError:
        return skipped("clock", "Vault tells no time")
    latest = vault_time + timedelta(seconds=1)
    skew = max(begin - latest, vault_time - end, timedelta())
    seconds = round(skew.total_seconds())
    if skew > MAX_SKEW:
        return problem(
            "clock",
            f"this machine and Vault differ by {seconds} s",
            "Set the clocks by NTP; certificates, tokens and leases depend on them.",
        )
    return ok("clock", f"differs from Vault's by at most {seconds + 1} s")
