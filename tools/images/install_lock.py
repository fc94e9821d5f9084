"""Installs a lock into the environment of an image: wheels only, each with one of its hashes."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from tools.images.app_folder import INSTALLED, PYTHON, SITE, make_environment

_CA_BUNDLE: Final = Path("/run/secrets/ca_bundle")
_CACHE: Final = Path("/var/cache/pip")


class NotLockedError(Exception):
    """A requirement that was to be left out is not in the lock."""


def without(lock: str, names: Sequence[str]) -> str:
    """Return the text of *lock* without the requirements *names*.

    Raises:
        NotLockedError: It has none of such a name.
    """
    blocks = list(_blocks(lock))
    missing = [name for name in names if not any(b.startswith(f"{name}==") for b in blocks)]
    if missing:
        raise NotLockedError(f"the lock has no {', '.join(missing)}")
    return "".join(b for b in blocks if not b.startswith(tuple(f"{name}==" for name in names)))


def _blocks(lock: str) -> Iterator[str]:
    """Yield each requirement with its hashes, which follow it indented."""
    block = ""
    for line in lock.splitlines(keepends=True):
        if block and not line.startswith((" ", "\t")):
            yield block
            block = ""
        block += line
    yield block


def install(lock: str) -> None:
    """Install the requirements of *lock*, and leave pip's report beside.

    Raises:
        subprocess.CalledProcessError: pip refused; its message is on standard error.
    """
    # Where no cache is mounted, nothing is kept.
    options = ["--cache-dir", str(_CACHE)] if _CACHE.is_dir() else ["--no-cache-dir"]
    if _CA_BUNDLE.is_file():
        options += ["--cert", str(_CA_BUNDLE)]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write(lock)
        file.flush()
        options += ["--quiet", "--disable-pip-version-check", "--root-user-action", "ignore"]
        options += ["--require-hashes", "--only-binary", ":all:", "--no-compile"]
        options += ["--report", str(INSTALLED), "--requirement", file.name]
        pip = [sys.executable, "-m", "pip", "--python", str(PYTHON)]
        subprocess.run([*pip, "install", *options], check=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line *argv*, that of the process by default; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lock", type=Path, help="file of pinned requirements with hashes")
    parser.add_argument("--without", action="append", default=[], help="requirement to leave out")
    arguments = parser.parse_args(argv)
    make_environment()
    install(without(arguments.lock.read_text("utf-8"), arguments.without))
    for script in PYTHON.parent.iterdir():
        if script != PYTHON:  # commands of libraries
            script.unlink()
    print(f"{len(list(SITE.glob('*.dist-info')))} requirements installed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
