"""Which shared libraries of the system a program or an extension module needs."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_LDD: Final = Path("/usr/bin/ldd")
_MAGIC: Final = b"\x7fELF"
# `libz.so.1 => /lib/x86_64-linux-gnu/libz.so.1 (0x...)`, or the loader, which has no arrow.
_FOUND: Final = re.compile(r"^\s*(?:\S+ => )?(/\S+) \(0x[0-9a-f]+\)$")


class LibraryMissingError(Exception):
    """A program needs a library that is not where it would be looked for."""


def is_elf(path: Path) -> bool:
    """Tell whether *path* is a program, or a library, in machine code."""
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def elf_files(folder: Path) -> list[Path]:
    """Return the programs and libraries below *folder*, sorted."""
    return sorted(path for path in folder.rglob("*") if is_elf(path))


def needed_libraries(paths: Iterable[Path]) -> set[Path]:
    """Return the libraries that *paths* need, directly or not, the loader included.

    Raises:
        LibraryMissingError: One is not there.
    """
    needed: set[Path] = set()
    for path in paths:
        found = subprocess.run([_LDD, path], check=False, capture_output=True, text=True)
        if "not found" in found.stdout:
            raise LibraryMissingError(f"{path} needs a library that is missing:\n{found.stdout}")
        lines = (_FOUND.match(line) for line in found.stdout.splitlines())
        # The folder is resolved (/lib is /usr/lib); the name is not: the loader asks for it.
        needed |= {Path(m[1]).parent.resolve() / Path(m[1]).name for m in lines if m}
    return needed
