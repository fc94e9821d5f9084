"""Makes a tree of files the same in each build: bytecode, permissions, times."""

from __future__ import annotations

import compileall
import os
from pathlib import Path
from py_compile import PycInvalidationMode
from typing import Final

_FOLDER_MODE: Final = 0o755
_PROGRAM_MODE: Final = 0o755
_FILE_MODE: Final = 0o644


class CompilationError(Exception):
    """A module is no Python that this interpreter takes."""


def compile_modules(folder: Path, *, root: Path) -> None:
    """Compile the modules below *folder*, which will be found below *root* when it is `/`.

    The interpreter takes the bytecode unseen: on a root that is read-only it could neither write
    newer one, nor would it ever be needed.

    Raises:
        CompilationError: A module cannot be compiled; which one is on standard output.
    """
    done = compileall.compile_dir(
        folder,
        maxlevels=50,
        quiet=1,
        force=True,
        stripdir=str(root),
        prependdir="/",
        invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
    )
    if not done:
        raise CompilationError(f"not all modules below {folder} can be compiled")


def settle(root: Path, epoch_seconds: int) -> None:
    """Let nobody but root write anything below *root*, and date it all *epoch_seconds*."""
    for path in [root, *root.rglob("*")]:
        if not path.is_symlink():
            path.chmod(_mode(path))
        os.utime(path, (epoch_seconds, epoch_seconds), follow_symlinks=False)


def _mode(path: Path) -> int:
    if path.is_dir():
        return _FOLDER_MODE
    return _PROGRAM_MODE if path.stat().st_mode & 0o100 else _FILE_MODE
