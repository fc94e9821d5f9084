"""Where the command finds Keyturn: environment variables, then the file `client.env`."""

from __future__ import annotations

import hashlib
import os
import shlex
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from keyturn_cli.command_error import CommandError
from keyturn_cli.exit_codes import ExitCode
from keyturn_cli.login_folder import why_not_private

ENV_FILE_VARIABLE: Final = "KEYTURN_CLIENT_ENV"
DEFAULT_ENV_FILE: Final = Path(".keyturn") / "client.env"

_FROM_LOCAL_STACK: Final = (
    "`keyturn local up` writes it into .keyturn/client.env; elsewhere, ask your operator for it"
)
_FROM_LOGIN: Final = "`keyturn login` obtains it"
_FROM_OPERATOR: Final = "`keyturn login` reads it; ask your operator for it"

OF_ISSUER: Final[Mapping[str, str]] = {
    "KEYTURN_OIDC_ISSUER": _FROM_OPERATOR,
    "KEYTURN_OIDC_CLIENT_ID": _FROM_OPERATOR,
    "KEYTURN_OIDC_CLIENT_SECRET_FILE": _FROM_OPERATOR,
    "KEYTURN_OIDC_CA": _FROM_OPERATOR,
    "KEYTURN_OIDC_SCOPES": _FROM_OPERATOR,
    "KEYTURN_OIDC_FLOW": "`keyturn login` reads it; `browser` or `device`, as you like",
    "KEYTURN_OIDC_REDIRECT_PORT": _FROM_OPERATOR,
    "KEYTURN_OIDC_NAME_CLAIM": _FROM_OPERATOR,
}
"""The variables of a login at an OIDC issuer. The local stack has none: its login is Vault's."""

MADE_BY: Final[Mapping[str, str]] = {
    "KEYTURN_GRPC": _FROM_LOCAL_STACK,
    "KEYTURN_HTTP": _FROM_LOCAL_STACK,
    "KEYTURN_KEYS_GRPC": _FROM_LOCAL_STACK,
    "KEYTURN_CA": _FROM_LOCAL_STACK,
    "KEYTURN_CERT": _FROM_LOCAL_STACK,
    "KEYTURN_CERT_KEY": _FROM_LOCAL_STACK,
    "KEYTURN_APP_TOKEN": _FROM_LOCAL_STACK,
    "KEYTURN_OWNER_TOKEN": _FROM_LOGIN,
    "KEYTURN_KEY": _FROM_LOCAL_STACK,
    "VAULT_ADDR": _FROM_LOCAL_STACK,
    "VAULT_CACERT": _FROM_LOCAL_STACK,
    "KEYTURN_VAULT_AUDIT_LOG": _FROM_LOCAL_STACK,
    "KEYTURN_SIGNING_KEYS": _FROM_LOCAL_STACK,
    "KEYTURN_AUDIT_WINDOWS": _FROM_LOCAL_STACK,
}
"""Every variable that the command knows, but for those of an issuer, and which command makes it."""

_MAKERS: Final = {**MADE_BY, **OF_ISSUER}


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """The variables of `MADE_BY` and `OF_ISSUER`: the environment's, and a file's behind them.

    Attributes:
        env_file: The file that was read, or would have been; it may not exist.
        state_dir: Folder for what the command itself keeps.
    """

    env_file: Path
    state_dir: Path
    environment: Mapping[str, str] = field(repr=False)
    file_values: Mapping[str, str] = field(repr=False)

    @classmethod
    def load(cls) -> Self:
        """Read the environment of this process, and the file that it names.

        Raises:
            CommandError: The file is not safe to trust, or has a line that cannot be read.
        """
        environment = dict(os.environ)  # noqa: TID251 - the one place of the command that reads it
        named = environment.get(ENV_FILE_VARIABLE)
        env_file = Path(named) if named else DEFAULT_ENV_FILE
        if named and not env_file.is_file():
            raise CommandError(
                f"{ENV_FILE_VARIABLE} names {env_file}, which is not a file.",
                ExitCode.USAGE,
                hint=f"Correct or unset {ENV_FILE_VARIABLE}.",
            )
        state_home = environment.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
        return cls(
            env_file=env_file,
            state_dir=Path(state_home) / "keyturn",
            environment=environment,
            file_values=read_env_file(env_file) if env_file.is_file() else {},
        )

    def get(self, name: str) -> str | None:
        """Return the variable *name*; an empty one counts as unset."""
        return self.environment.get(name) or self.file_values.get(name) or None

    def origin(self, name: str) -> str:
        """Return in words where the variable *name* was set."""
        return "environment" if self.environment.get(name) else str(self.env_file)

    def require(self, name: str) -> str:
        """Return the variable *name*.

        Raises:
            CommandError: It is set nowhere.
        """
        value = self.get(name)
        if value is None:
            raise CommandError(
                f"{name} is set neither in the environment nor in {self.env_file}.",
                ExitCode.USAGE,
                hint=f"{name}: {_MAKERS[name]}.",
            )
        return value

    def read_file(self, name: str) -> bytes:
        """Return the content of the file that the variable *name* names.

        Raises:
            CommandError: The variable is not set, or the file cannot be read.
        """
        path = Path(self.require(name))
        try:
            return path.read_bytes()
        except OSError as error:
            raise CommandError(
                f"{name} names {path}, which cannot be read: {error.strerror}.",
                ExitCode.USAGE,
                hint=f"{name}: {_MAKERS[name]}.",
            ) from error

    @property
    def owner_token_file(self) -> Path:
        """Where a login is kept."""
        return self._login_file("owner-token")

    @property
    def refresh_token_file(self) -> Path:
        """Where a login keeps what renews it: beside the login."""
        return self._login_file("owner-refresh-token")

    @property
    def why_not_beside(self) -> str:
        """Why a login is not kept beside `client.env`, in words; empty if it is."""
        reason = why_not_private(self.env_file.parent)
        return f"{self.env_file.parent} {reason}" if reason else ""

    def _login_file(self, name: str) -> Path:
        """Return the file *name* beside `client.env`, or else in the user's state folder.

        There each `client.env` has files of its own: a login at one deployment is not shown to
        another.
        """
        if not self.why_not_beside:
            return self.env_file.with_name(name)
        if not self.env_file.is_file():
            return self.state_dir / name
        digest = hashlib.sha256(os.fsencode(self.env_file.absolute())).hexdigest()
        return self.state_dir / f"{name}-{digest[:16]}"

    @property
    def logs_dir(self) -> Path:
        """Where the local stack's services log."""
        return self.env_file.parent / "logs"


def silence_grpc() -> None:
    """Keep gRPC's own messages off standard error; to be called before grpc is imported.

    What they say of a failed connection is told in the command's own words.
    """
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # noqa: TID251 - grpc reads it nowhere else


def read_env_file(path: Path) -> dict[str, str]:
    """Return the variables that *path* sets, a file of shell lines `export NAME='value'`.

    It says where a password is sent, so it must belong to this user or to root, and nobody else
    may be able to write it.

    Raises:
        CommandError: The file is not safe to trust, or a line cannot be read.
    """
    try:
        status = path.stat()
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{path} cannot be read as text.", ExitCode.USAGE) from error
    if status.st_uid not in {os.geteuid(), 0} or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise CommandError(
            f"{path} belongs to another user, or others may write it.",
            ExitCode.USAGE,
            hint=f"If you trust its content: chown it to yourself and `chmod 600 {path}`.",
        )
    values: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        values.update(_assignments(line, f"{path}, line {number}"))
    return values


def _assignments(line: str, place: str) -> dict[str, str]:
    """Return what one shell *line* sets; *place* names it in an error, which holds no value."""
    try:
        words = shlex.split(line, comments=True)
    except ValueError as error:
        raise CommandError(f"{place}: a quote is not closed.", ExitCode.USAGE) from error
    if words[:1] == ["export"]:
        words = words[1:]
    pairs = [word.partition("=") for word in words]
    if not all(name.isidentifier() and equals for name, equals, _ in pairs):
        raise CommandError(f"{place}: must read export NAME='value'.", ExitCode.USAGE)
    return {name: value for name, _, value in pairs}
