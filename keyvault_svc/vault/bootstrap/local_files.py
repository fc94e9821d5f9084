"""Files of the administrator's machine that say what Vault shall hold: policies, CAs, keys."""

from __future__ import annotations

from pathlib import Path

from keyvault_svc.vault.bootstrap.errors import SetupConflictError


def text_of(path: Path) -> str:
    """Return what *path* holds.

    Raises:
        SetupConflictError: It cannot be read, or is no text.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SetupConflictError(
            f"The file {path} cannot be read.", "Check the folder of the policies, and each path."
        ) from error
