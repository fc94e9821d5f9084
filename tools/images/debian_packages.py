"""Which Debian package a file of the builder came from, and what is known about that package."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

_DATABASE: Final = Path("/var/lib/dpkg")


@dataclass(frozen=True, slots=True)
class DebianPackage:
    """One installed package.

    Attributes:
        stanza: Its entry in the database of dpkg, as scanners of images expect it.
    """

    name: str
    version: str
    architecture: str
    stanza: str


def parse_stanza(stanza: str) -> DebianPackage:
    """Read one entry of the database of dpkg.

    Raises:
        KeyError: It lacks the name, the version or the architecture.
    """
    fields = dict(line.split(": ", 1) for line in stanza.splitlines() if ": " in line[:40])
    return DebianPackage(fields["Package"], fields["Version"], fields["Architecture"], stanza)


class DebianPackages:
    """The packages that are installed here; none where the system is no Debian."""

    def owner(self, path: Path) -> DebianPackage | None:
        """Return the package that *path* came with, or None for what was put there otherwise."""
        name = self._owners.get(str(unmerged(path)))
        return self._installed[name] if name else None

    @cached_property
    def _owners(self) -> dict[str, str]:
        # A list may name a file by /lib or by /usr/lib, which are one folder.
        owners = {}
        for listed in sorted((_DATABASE / "info").glob("*.list")):
            package = listed.stem.partition(":")[0]
            for line in listed.read_text("utf-8").splitlines():
                owners[str(unmerged(Path(line)))] = package
        return owners

    @cached_property
    def _installed(self) -> dict[str, DebianPackage]:
        stanzas = (_DATABASE / "status").read_text("utf-8").strip().split("\n\n")
        return {package.name: package for package in map(parse_stanza, stanzas)}


def unmerged(path: Path) -> Path:
    """Return *path* without the /usr before /lib, /lib64, /bin and /sbin."""
    match path.parts:
        case ("/", "usr", "bin" | "lib" | "lib64" | "sbin", *_):
            return Path("/", *path.parts[2:])
        case _:
            return path
