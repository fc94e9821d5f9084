"""The owner's ID token: where it comes from, where a login keeps it, what it says of itself."""

from __future__ import annotations

import base64
import json
import os
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from keyturn_cli.client_settings import ClientSettings
from keyturn_cli.command_error import CommandError
from keyturn_cli.exit_codes import ExitCode
from svc_runtime.secret_bytes import SecretBytes

TOKEN_VARIABLE: Final = "KEYTURN_OWNER_TOKEN"  # noqa: S105 - a variable's name, not a token
LOGIN_HINT: Final = "Run `keyturn login`."


@dataclass(frozen=True, slots=True)
class OwnerToken:
    """An ID token. What it says is unverified here: services verify it, this only displays it.

    Attributes:
        unverified_name: The person's name; None when the token does not say.
        unverified_expire_time: When it ends; None when the token does not say.
        source: Where it was found, in words.
    """

    secret: SecretBytes
    unverified_name: str | None
    unverified_expire_time: datetime | None
    source: str

    def is_expired(self, now: datetime) -> bool:
        """Tell whether the token says that it has ended by *now*."""
        return self.unverified_expire_time is not None and self.unverified_expire_time <= now


def parse_owner_token(raw: str, source: str) -> OwnerToken:
    """Read name and expiry out of *raw*, a compact JWT, without verifying it.

    Raises:
        CommandError: It is not a JWT. The text does not repeat it.
    """
    try:
        _, payload, _ = raw.strip().split(".")
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        name = claims.get("preferred_username")
        expires = claims.get("exp")
        expire_time = datetime.fromtimestamp(expires, UTC) if expires is not None else None
    except (ValueError, TypeError, AttributeError, OverflowError, OSError):
        pass
    else:
        return OwnerToken(
            secret=SecretBytes(raw.strip().encode()),
            unverified_name=name if isinstance(name, str) else None,
            unverified_expire_time=expire_time,
            source=source,
        )
    raise CommandError(
        f"The owner token from {source} is not an ID token.", ExitCode.USAGE, hint=LOGIN_HINT
    )


def find_owner_token(settings: ClientSettings) -> OwnerToken | None:
    """Return the token to use: the environment's, else the stored login's, else `client.env`'s."""
    if from_environment := settings.environment.get(TOKEN_VARIABLE):
        return parse_owner_token(from_environment, f"the variable {TOKEN_VARIABLE}")
    path = settings.owner_token_file
    try:
        stored = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        stored = ""
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(
            f"The stored login {path} cannot be read.", ExitCode.USAGE, hint=LOGIN_HINT
        ) from error
    if stored.strip():
        return parse_owner_token(stored, f"the stored login {path}")
    if from_file := settings.file_values.get(TOKEN_VARIABLE):
        return parse_owner_token(from_file, str(settings.env_file))
    return None


def require_owner_token(settings: ClientSettings, now: datetime) -> OwnerToken:
    """Return the token to use.

    Raises:
        CommandError: There is none, or it has expired by *now*.
    """
    token = find_owner_token(settings)
    if token is None:
        raise CommandError("You are not logged in.", ExitCode.REFUSED, hint=LOGIN_HINT)
    if token.is_expired(now):
        raise CommandError(
            f"Your login has expired (it came from {token.source}).",
            ExitCode.REFUSED,
            hint=LOGIN_HINT,
        )
    return token


def store_owner_token(token: OwnerToken, path: Path) -> None:
    """Keep *token* in *path*, readable by this user only, replacing an earlier one at once."""
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(token.secret.expose() + b"\n")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise CommandError(
            f"The login cannot be stored in {path}: {error.strerror}.", ExitCode.USAGE
        ) from error
