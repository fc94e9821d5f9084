"""Checks of the files that settings name: readable, private where they must be, still valid."""

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
from keyturn_cli.client_settings import ClientSettings
from keyturn_cli.command_error import CommandError
from keyturn_cli.oidc_settings import is_of_issuer
from keyturn_cli.owner_token import LOGIN_HINT, find_owner_token
from keyturn_cli.settings_check import not_configured

# What of `client.env` nobody else may read.
_SECRETS: Final = ("KEYTURN_OWNER_TOKEN", "KEYTURN_APP_TOKEN")
_CERTIFICATES: Final = ("KEYTURN_CA", "KEYTURN_CERT", "VAULT_CACERT")
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_RENEW: Final = "Restart the local stack (`keyturn local up`), or get a new one from your operator."
_LAST_HOUR: Final = timedelta(hours=1)


def check_files(settings: ClientSettings, now: datetime) -> list[CheckResult]:
    """Check all files that *settings* name, and what was logged in with."""
    return [
        *_check_modes(settings),
        *(_check_certificates(settings, name, now) for name in _CERTIFICATES),
        _check_key_pair(settings),
        check_owner_token(settings, now),
        _check_audit_log(settings),
    ]


def _check_modes(settings: ClientSettings) -> Iterator[CheckResult]:
    certificate_key = settings.get("KEYTURN_CERT_KEY")
    holds_secret = any(settings.file_values.get(name) for name in _SECRETS)
    private = [
        *([(settings.env_file, "client.env")] if holds_secret else []),
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
        return skipped(check, f"{name} is not set")
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
    if settings.get("KEYTURN_CERT") is None and settings.get("KEYTURN_CERT_KEY") is None:
        return skipped(check, "KEYTURN_CERT and KEYTURN_CERT_KEY are not set")
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
    if settings.get("KEYTURN_KEYS_GRPC") is None:
        return not_configured(check, "KEYTURN_KEYS_GRPC")
    try:
        token = find_owner_token(settings)
    except CommandError as error:
        return problem(check, error.text, error.hint)
    if token is None:
        return problem(check, "not logged in", LOGIN_HINT)
    if token.is_expired(now):
        if is_of_issuer(token.refresh, settings):
            return ok(check, "expired; the next command renews it")
        return problem(check, f"expired; it came from {token.source}", LOGIN_HINT)
    until = token.unverified_expire_time
    left = f", valid for {in_words(until - now)}" if until else ""
    return ok(check, f"of {token.unverified_name or 'somebody'}{left}, from {token.source}")


def _check_audit_log(settings: ClientSettings) -> CheckResult:
    check = "Vault audit log"
    name = settings.get("KEYTURN_VAULT_AUDIT_LOG")
    if name is None:
        return not_configured(check, "KEYTURN_VAULT_AUDIT_LOG")
    try:
        with Path(name).open("rb") as file:
            is_empty = not file.read(1)
    except OSError as error:
        return problem(check, f"{name}: {error.strerror}", "Ask your operator for read access.")
    if is_empty:
        return problem(check, f"{name} is empty", "Check Vault's audit device.")
    return ok(check, f"{name} is readable")
