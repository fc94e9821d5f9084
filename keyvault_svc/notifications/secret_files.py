"""Reads the secrets of channels from their files."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Final

from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.settings_models import SettingsError

_PREFIX: Final = b"whsec_"
_MIN_BYTES: Final = 24  # Standard Webhooks: 24 to 64 bytes
_MAX_BYTES: Final = 64
_MAX_FILE_BYTES: Final = 4096


def read_webhook_secret(file: Path) -> SecretBytes:
    """Return the secret that *file* holds as `whsec_<base64>`.

    Raises:
        SettingsError: It cannot be read, or is no such secret.
    """
    content = _content(file)
    try:
        if content.startswith(_PREFIX):
            return _checked(base64.b64decode(content.removeprefix(_PREFIX), validate=True))
    except ValueError:  # binascii.Error, too
        pass
    raise SettingsError(
        f"{file}: must hold whsec_ and {_MIN_BYTES} to {_MAX_BYTES} bytes in base64"
    )


def read_password(file: Path) -> SecretBytes:
    """Return the password that *file* holds, without the end of its line.

    Raises:
        SettingsError: It cannot be read, or is empty, or not UTF-8.
    """
    content = _content(file)
    try:
        content.decode()
        return SecretBytes(content)
    except ValueError:
        pass
    raise SettingsError(f"{file}: must hold a password in UTF-8")


def _checked(secret: bytes) -> SecretBytes:
    if not _MIN_BYTES <= len(secret) <= _MAX_BYTES:
        raise ValueError("the secret is too short or too long")
    return SecretBytes(secret)


def _content(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(_MAX_FILE_BYTES).strip(b"\r\n")
    except OSError as error:
        raise SettingsError(f"{file}: {error.strerror}") from error
