"""The repository as the architecture tests see it: files, syntax trees, modules."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ("gateway_svc", "keyvault_svc")
PACKAGES = (*SERVICES, "keyturn_cli", "svc_runtime")


def files(*patterns: str) -> list[Path]:
    """Return the files that git tracks or would track, of *patterns* or all, sorted."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", "--"]
    listed = subprocess.run([*command, *patterns], cwd=ROOT, check=True, capture_output=True)
    paths = (ROOT / name for name in listed.stdout.decode().split("\0") if name)
    return sorted(path for path in paths if path.is_file())


def relative(path: Path) -> str:
    """Return *path* as seen from the repository's root."""
    return path.relative_to(ROOT).as_posix()


def parse(path: Path) -> ast.Module:
    """Return the syntax tree of the Python file *path*."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=relative(path))


def modules(package: str) -> Iterator[ModuleType]:
    """Import *package* and all modules below it, programs (`__main__`) excepted."""
    root = importlib.import_module(package)
    yield root
    for found in pkgutil.walk_packages(root.__path__, f"{package}."):
        if not found.name.endswith("__main__"):
            yield importlib.import_module(found.name)
