"""The file of the consent's text: the operator's own, or the one that comes along."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from pathlib import Path
from typing import Final

from keyvault_svc.domain.consent_text import ConsentText
from svc_runtime.settings_models import SettingsError

_MAX_BYTES: Final = 64 * 1024
_VERSION_DIGITS: Final = 12


def load_consent_text(path: Path | None, version: str = "") -> ConsentText:
    """Return the text in the file at *path*; the one that comes along for None.

    Args:
        path: UTF-8 text.
        version: What the operator calls it; empty for the first digits of the text's SHA-256.

    Raises:
        SettingsError: The file cannot be read, or is no text of up to 64 KiB.
    """
    raw = b""
    problem = f"must be UTF-8 text of 1 to {_MAX_BYTES} bytes"
    try:
        raw = (path or Path(str(files("keyvault_svc") / "consent.txt"))).read_bytes()
        text = raw.decode().strip()
    except OSError as error:
        text, problem = "", error.strerror or type(error).__name__
    except ValueError:
        text = ""
    if not text or len(raw) > _MAX_BYTES or not _is_plain(text):
        raise SettingsError(f"consent.text_file: {path}: {problem}")
    return ConsentText(version or hashlib.sha256(text.encode()).hexdigest()[:_VERSION_DIGITS], text)


def _is_plain(text: str) -> bool:
    # It is shown on terminals: nothing in it may move a cursor or turn the direction.
    return all(line.expandtabs().isprintable() for line in text.splitlines())
