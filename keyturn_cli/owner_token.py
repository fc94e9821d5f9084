"""The owner's ID token: where it comes from, where a login keeps it, what it says of itself."""

from __future__ import annotations

import base64
import json
import os
import secrets
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from keyturn_cli.client_settings import ClientSettings
from keyturn_cli.command_error import CommandError
from keyturn_cli.exit_codes import ExitCode
from keyturn_cli.login_folder import other_hands
from svc_runtime.secret_bytes import SecretBytes

TOKEN_VARIABLE: Final = "KEYTURN_OWNER_TOKEN"  # noqa: S105 - a variable's name, not a token
LOGIN_HINT: Final = "Run `keyturn login`."
DEFAULT_NAME_CLAIM: Final = "preferred_username"
_NAME_CLAIM_VARIABLE: Final = "KEYTURN_OIDC_NAME_CLAIM"


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """What renews a login without the person.

    Attributes:
        issuer: Who gave it, and the only one who may see it.
        client_id: For which client.
    """

    secret: SecretBytes
    issuer: str
    client_id: str


@dataclass(frozen=True, slots=True)
class OwnerToken:
    """An ID token. What it says is unverified here: services verify it, this only displays it.

    Attributes:
        unverified_name: The person's name; None when the token does not say.
        unverified_expire_time: When it ends; None when the token does not say.
        source: Where it was found, in words.
        refresh: What renews it, where the issuer of a fresh login gave that.
    """

    secret: SecretBytes
    unverified_name: str | None
    unverified_expire_time: datetime | None
    source: str
    refresh: RefreshToken | None = None

    def is_expired(self, now: datetime) -> bool:
        """Tell whether the token says that it has ended by *now*."""
        return self.unverified_expire_time is not None and self.unverified_expire_time <= now


def parse_owner_token(raw: str, source: str, name_claim: str = DEFAULT_NAME_CLAIM) -> OwnerToken:
    """Read name and expiry out of *raw*, a compact JWT, without verifying it.

    Raises:
        CommandError: It is not a JWT. The text does not repeat it.
    """
    try:
        claims = _claims(raw)
        name = claims.get(name_claim)
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


def subject_of(token: OwnerToken) -> object:
    """Return the issuer's own name for the person of *token*, which never changes (`sub`)."""
    return _claims(token.secret.expose().decode()).get("sub")


def find_owner_token(settings: ClientSettings) -> OwnerToken | None:
    """Return the token to use: the environment's, else the stored login's, else `client.env`'s."""
    name_claim = settings.get(_NAME_CLAIM_VARIABLE) or DEFAULT_NAME_CLAIM
    if from_environment := settings.environment.get(TOKEN_VARIABLE):
        return parse_owner_token(from_environment, f"the variable {TOKEN_VARIABLE}", name_claim)
    if stored := find_stored_login(settings):
        return stored
    if from_file := settings.file_values.get(TOKEN_VARIABLE):
        return parse_owner_token(from_file, str(settings.env_file), name_claim)
    return None


def find_stored_login(settings: ClientSettings) -> OwnerToken | None:
    """Return the token that the latest login kept, with what renews it; None if there is none."""
    path = settings.owner_token_file
    if not (stored := _stored_text(path)):
        return None
    name_claim = settings.get(_NAME_CLAIM_VARIABLE) or DEFAULT_NAME_CLAIM
    token = parse_owner_token(stored, f"the stored login {path}", name_claim)
    return replace(token, refresh=_stored_refresh_token(settings.refresh_token_file))


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


def store_owner_token(token: OwnerToken, settings: ClientSettings) -> None:
    """Keep *token* and what renews it, readable by this user only, in place of an earlier login.

    What renews goes first and comes last: it never stands beside the token of somebody else.
    """
    refresh = token.refresh
    forget(settings.refresh_token_file)
    _write_private(settings.owner_token_file, token.secret.expose() + b"\n")
    if refresh is not None:
        document = {
            "issuer": refresh.issuer,
            "client_id": refresh.client_id,
            "refresh_token": refresh.secret.expose().decode(),
        }
        _write_private(settings.refresh_token_file, json.dumps(document).encode() + b"\n")


def forget_login(settings: ClientSettings) -> bool:
    """Delete the stored login; tell whether there was one."""
    forget(settings.refresh_token_file)
    return forget(settings.owner_token_file)


def forget(path: Path) -> bool:
    """Delete *path*; tell whether it was there."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise CommandError(
            f"The login in {path} cannot be deleted: {error.strerror}.", ExitCode.USAGE
        ) from error
    return True


def _claims(raw: str) -> Any:  # noqa: ANN401 - JSON that nobody has looked at
    """Return what *raw*, a JWT, says; raises ValueError for what is none."""
    _, payload, _ = raw.strip().split(".")
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


def _require_own(folder: Path) -> None:
    """See that nobody else can put a login into *folder*, if it is there.

    Raises:
        CommandError: Somebody can.
    """
    reason = other_hands(folder) if folder.is_dir() else ""
    if reason:
        raise CommandError(
            f"A login cannot be kept in {folder}, which {reason}.",
            ExitCode.USAGE,
            hint=f"If it is yours: chown it to yourself and `chmod 700 {folder}`.",
        )


def _stored_text(path: Path) -> str:
    _require_own(path.parent)
    try:
        return path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(
            f"The stored login {path} cannot be read.", ExitCode.USAGE, hint=LOGIN_HINT
        ) from error


def _stored_refresh_token(path: Path) -> RefreshToken | None:
    """Return what *path* holds; a damaged one is as good as none."""
    try:
        document = json.loads(_stored_text(path))
        secret = SecretBytes(document["refresh_token"].encode())
        return RefreshToken(secret, str(document["issuer"]), str(document["client_id"]))
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _write_private(path: Path, content: bytes) -> None:
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _require_own(path.parent)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise CommandError(
            f"The login cannot be stored in {path}: {error.strerror}.", ExitCode.USAGE
        ) from error
