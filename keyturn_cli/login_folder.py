"""Which folders may hold a login: those in which nobody but this user can put one."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH


def why_not_private(folder: Path) -> str:
    """Return why a login cannot be kept in *folder*, in words; empty if it can."""
    try:
        may_write = folder.stat().st_mode & stat.S_IWUSR and os.access(folder, os.W_OK | os.X_OK)
    except OSError:
        return "is not there"
    return other_hands(folder) or ("" if may_write else "cannot be written")


def other_hands(folder: Path) -> str:
    """Return who else can put a login into *folder*, in words; empty for nobody.

    They could have this user act under their name. That others can read the folder does no harm:
    the files of a login are for this user only.

    Raises:
        OSError: There is no such folder.
    """
    status = folder.stat()
    if status.st_uid != os.geteuid():
        return "belongs to another user"
    return "can be written by others" if status.st_mode & _OTHERS_WRITE else ""
