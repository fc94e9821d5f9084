"""The second factor of people who log in at Vault itself: a code of an authenticator app.

Whoever logs in at this mount has shown both factors, or the enforcement would not have let them;
so the tokens of its own role may say that, and no other's do.
"""

from __future__ import annotations

from typing import Final

from keyvault_svc.vault.bootstrap.convergence import (
    RIGHT,
    converge_fields,
    difference,
    differing_fields,
    mount_step,
)
from keyvault_svc.vault.bootstrap.step import Finding, Step, StepOutcome
from keyvault_svc.vault.bootstrap.vault_admin import VaultAdmin

SECOND_FACTOR_MOUNT: Final = "keyturn-people-mfa"
TOTP_METHODS: Final = "identity/mfa/method/totp"
SECOND_FACTOR_LOGIN_SECONDS: Final = 60
"""How long such a login lives at most. The time of the login, in its tokens, counts on that."""
ENFORCEMENT: Final = f"identity/mfa/login-enforcement/{SECOND_FACTOR_MOUNT}"
UNKNOWN_METHOD: Final = "<id of the TOTP method>"
UNKNOWN_MOUNT: Final = "<accessor of the mount>"
"""What Vault makes up; it stands so in a dry run and in a recording, where neither is there."""
_METHOD: Final = "keyturn-totp"
# RFC 6238 as every authenticator app has it; some know nothing but these.
_METHOD_FIELDS: Final = {
    "issuer": "Keyturn",
    "algorithm": "SHA1",
    "digits": 6,
    "period": 30,  # seconds
    "skew": 1,
    "key_size": 20,
    "max_validation_attempts": 5,
}


def second_factor_steps() -> list[Step]:
    """Return the steps that keep a login with two factors: mount, method, enforcement."""
    return [
        mount_step(
            "sys/auth",
            SECOND_FACTOR_MOUNT,
            "userpass",
            max_lease_seconds=SECOND_FACTOR_LOGIN_SECONDS,
        ),
        Step(f"TOTP method {_METHOD}", _converge_method),
        Step(f"login enforcement {SECOND_FACTOR_MOUNT}", _converge_enforcement),
    ]


def _converge_method(vault: VaultAdmin) -> Finding:
    found = _find_method(vault)
    if found is None:
        vault.write(TOTP_METHODS, {"method_name": _METHOD, **_METHOD_FIELDS})
        return Finding(StepOutcome.CREATED)
    method_id, current = found
    if not differing_fields(current, _METHOD_FIELDS):
        return RIGHT
    vault.write(f"{TOTP_METHODS}/{method_id}", {"method_name": _METHOD, **_METHOD_FIELDS})
    return Finding(StepOutcome.CHANGED, difference(current, _METHOD_FIELDS))


def _converge_enforcement(vault: VaultAdmin) -> Finding:
    method = _find_method(vault)
    mount = (vault.read("sys/auth") or {}).get(f"{SECOND_FACTOR_MOUNT}/", {})
    wanted = {
        "mfa_method_ids": [method[0] if method else UNKNOWN_METHOD],
        "auth_method_accessors": [mount.get("accessor", UNKNOWN_MOUNT)],
    }
    return converge_fields(vault, ENFORCEMENT, wanted)


def _find_method(vault: VaultAdmin) -> tuple[str, dict[str, object]] | None:
    """Return id and fields of the method, which has a name but is filed under its id."""
    for method_id in vault.list_keys(TOTP_METHODS):
        current = vault.read(f"{TOTP_METHODS}/{method_id}")
        if current is not None and current.get("name") == _METHOD:
            return method_id, current
    return None
