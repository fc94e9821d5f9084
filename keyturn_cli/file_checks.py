"""Checks of settings and files: present, readable, private where they must be, still valid."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from keyturn_cli.check_result import CheckResult, ok, problem, skipped
from keyturn_cli.client_settings import MADE_BY, ClientSettings
from keyturn_cli.command_error import CommandError
from keyturn_cli.owner_token import LOGIN_HINT, find_owner_token

# Where one of these is missing, some commands still work; that is said, not counted as a problem.
_OPTIONAL: Final = frozenset(
    {
        *("KEYTURN_OWNER_TOKEN", "KEYTURN_APP_TOKEN", "KEYTURN_KEY"),
        *("KEYTURN_SIGNING_KEYS", "KEYTURN_AUDIT_WINDOWS"),
    }
)
_CERTIFICATES: Final = ("KEYTURN_CA", "KEYTURN_CERT", "VAULT_CACERT")
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_RENEW: Final = "Restart the local stack (`keyturn local up`), or get a new one from your operator."
_LAST_HOUR: Final = timedelta(hours=1)


def check_files(settings: ClientSettings, now: datetime) -> list[CheckResult]:
    """Check all settings and the files that they name."""
    return [
        *_check_variables(settings),
        *_check_modes(settings),
        *(_check_certificates(settings, name, now) for name in _CERTIFICATES),
        _check_key_pair(settings),
        check_owner_token(settings, now),
        _check_audit_log(settings),
    ]


def _check_variables(settings: ClientSettings) -> Iterator[CheckResult]:
    missing = [name for name in MADE_BY if settings.get(name) is None]
    required = [name for name in missing if name not in _OPTIONAL]
    if required:
        mends = "; ".join(f"{name}: {MADE_BY[name]}" for name in required[:1])
        yield problem("settings", f"not set: {', '.join(required)}", mends)
    else:
        origins = sorted({settings.origin(name) for name in MADE_BY if name not in missing})
        yield ok("settings", f"all set, by {' and '.join(origins)}")


def _check_modes(settings: ClientSettings) -> Iterator[CheckResult]:
    certificate_key = settings.get("KEYTURN_CERT_KEY")
    private = [
        (settings.env_file, "client.env"),
        (settings.owner_token_file, "stored login"),
        *([(Path(certificate_key), "certificate key")] if certificate_key else []),
    ]
    for path, what in private:
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
        except OSError:
            continue  # absent; whoever needs it says so
        name = f"mode of {what}"
        if mode & _OTHERS:
            yield problem(name, f"{path} has mode {mode:04o}", f"chmod 600 {path}")
        else:
            yield ok(name, f"{path} has mode {mode:04o}")


def _check_certificates(settings: ClientSettings, name: str, now: datetime) -> CheckResult:
    check = f"certificate {name}"
    if settings.get(name) is None:
        return skipped(check, "not set")
    try:
        certificates = x509.load_pem_x509_certificates(settings.read_file(name))
    except CommandError as error:
        return problem(check, error.text, error.hint)
    except ValueError:
        return problem(check, f"{settings.get(name)} holds no PEM certificate", _RENEW)
    first_end = min(certificate.not_valid_after_utc for certificate in certificates)
    if any(certificate.not_valid_before_utc > now for certificate in certificates):
        return problem(check, "is not valid yet", "Check this machine's clock.")
    return validity(check, first_end, now)


def validity(check: str, end: datetime, now: datetime) -> CheckResult:
    """Judge how long a certificate that ends at *end* is good."""
    left = end - now
    if left <= timedelta():
        return problem(check, f"expired at {end:%Y-%m-%d %H:%MZ}", _RENEW)
    return ok(check, f"valid for {in_words(left)}, until {end:%Y-%m-%d %H:%MZ}")


def in_words(left: timedelta) -> str:
    """Return *left* to the day, the hour or the minute."""
    if left >= timedelta(days=2):
        return f"{left.days} days"
    if left >= _LAST_HOUR:
        return f"{left // _LAST_HOUR} h"
    return f"{left // timedelta(minutes=1)} min"


def _check_key_pair(settings: ClientSettings) -> CheckResult:
    check = "certificate key"
    try:
        key = load_pem_private_key(settings.read_file("KEYTURN_CERT_KEY"), password=None)
        leaf = x509.load_pem_x509_certificates(settings.read_file("KEYTURN_CERT"))[0]

        matches = key.public_key() == leaf.public_key()
    except CommandError as error:
        return problem(check, error.text, error.hint)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return problem(check, "KEYTURN_CERT_KEY or KEYTURN_CERT is not readable PEM", _RENEW)
    if not matches:
        return problem(check, "KEYTURN_CERT_KEY is not the key of KEYTURN_CERT", _RENEW)
    return ok(check, "belongs to KEYTURN_CERT")


def check_owner_token(settings: ClientSettings, now: datetime) -> CheckResult:
    """Check the owner's token as far as it tells of itself."""
    check = "owner token"
    try:
        token = find_owner_token(settings)
    except CommandError as error:
        return problem(check, error.text, error.hint)
    if token is None:
        return problem(check, "not logged in", LOGIN_HINT)
    if token.is_expired(now):
        return problem(check, f"expired; it came from {token.source}", LOGIN_HINT)
    until = token.unverified_expire_time
    left = f", valid for {in_words(until - now)}" if until else ""
    return ok(check, f"of {token.unverified_name or 'somebody'}{left}, from {token.source}")


def _check_audit_log(settings: ClientSettings) -> CheckResult:
    check = "Vault audit log"
    name = settings.get("KEYTURN_VAULT_AUDIT_LOG")
    if name is None:
        return skipped(check, "KEYTURN_VAULT_AUDIT_LOG is not set; `audit trail` needs --vault-log")
    try:
        with Path(name).open("rb") as file:
            is_empty = not file.read(1)
    except OSError as error:
        return problem(check, f"{name}: {error.strerror}", "Ask your operator for read access.")
    if is_empty:
        return problem(check, f"{name} is empty", "Check Vault's audit device.")
    return ok(check, f"{name} is readable")
