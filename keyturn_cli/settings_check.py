"""The check of what is configured. Nobody has all of Keyturn's variables but the local stack."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from keyturn_cli.check_result import CheckResult, ok, problem, skipped
from keyturn_cli.client_settings import MADE_BY, ClientSettings

# Each variable of these has something checked, and whom that serves.
_SERVES: Final[Mapping[str, str]] = {
    "KEYTURN_KEYS_GRPC": "people with a login",
    "KEYTURN_GRPC": "apps over gRPC",
    "KEYTURN_HTTP": "apps over HTTPS",
    "VAULT_ADDR": "operators, and logins by password at Vault",
    "KEYTURN_VAULT_AUDIT_LOG": "auditors",
}
_NEEDS: Final[Mapping[str, tuple[str, ...]]] = {
    "KEYTURN_KEYS_GRPC": ("KEYTURN_CA",),
    "KEYTURN_GRPC": ("KEYTURN_CA", "KEYTURN_CERT", "KEYTURN_CERT_KEY"),
    "KEYTURN_HTTP": ("KEYTURN_CA",),
}
_NOTHING: Final = (
    "Name your operator's file: `export KEYTURN_CLIENT_ENV=client.env`; or start the local stack: "
    "`keyturn local up`."
)


def check_settings(settings: ClientSettings, *, compares_set_up: bool) -> CheckResult:
    """Check that something is configured, and that nothing which that needs is missing.

    Args:
        settings: The variables.
        compares_set_up: Whether Vault's set-up is to be compared, which is something, too.
    """
    check = "settings"
    there = [name for name in _SERVES if settings.get(name)]
    needed = dict.fromkeys(need for name in there for need in _NEEDS.get(name, ()))
    missing = [name for name in needed if settings.get(name) is None]
    if missing:
        return problem(
            check, f"not set: {', '.join(missing)}", f"{missing[0]}: {MADE_BY[missing[0]]}."
        )
    if there:
        origins = " and ".join(sorted({settings.origin(name) for name in there}))
        return ok(check, f"{', '.join(there)}, by {origins}")
    if compares_set_up:
        return ok(check, "none but those of the key service")
    return problem(check, f"none is set of {', '.join(_SERVES)}", _NOTHING)


def not_configured(check: str, variable: str) -> CheckResult:
    """Return the finding that *check* was left out, and the *variable* that would turn it on."""
    return skipped(check, f"{variable} is not set; it is for {_SERVES[variable]}")
