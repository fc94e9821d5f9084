"""What each image carries, as the Containerfile says it, and what its program imports."""

from __future__ import annotations

import ast
import re
import shlex
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Final

from packaging.utils import canonicalize_name

from tests.architecture.source_tree import PACKAGES, ROOT, parse

CONTAINERFILE: Final = ROOT / "deploy" / "images" / "Containerfile"
_OURS: Final = {*PACKAGES, "keyturn"}
_PIN: Final = re.compile(r"^([A-Za-z0-9._-]+)==", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class ImageStage:
    """What the builder of one image puts into it.

    Attributes:
        copies: Paths of the repository, and where they go below the folder of the packages.
        lock: Normalised names of the requirements that are installed.
    """

    image: str
    copies: tuple[tuple[str, str], ...]
    lock: frozenset[str]

    def carries(self, module: Path) -> bool:
        """Tell whether the file *module* of the repository is in the image."""
        return any(module.is_relative_to(ROOT / source) for source, _ in self.copies)


def image_stages() -> dict[str, ImageStage]:
    """Return the stages of the Containerfile that put a program together, by image."""
    stages = {}
    for name, instructions in _stages():
        if not name.endswith("-build"):
            continue
        image = name.removesuffix("-build")
        copies = [shlex.split(line) for line in instructions if line.startswith("COPY ")]
        sources = [(c[1:-1], c[-1]) for c in copies if not c[1].startswith("--")]
        locks = [s for paths, _ in sources for s in paths if s.startswith("requirements/")]
        packages = [
            (source, target) for paths, target in sources if target.startswith("packages/")
            for source in paths
        ]  # fmt: skip
        run = " ".join(line for line in instructions if line.startswith("RUN "))
        left_out = re.findall(r"--without (\S+)", run)
        pinned = _PIN.findall("".join((ROOT / lock).read_text("utf-8") for lock in locks))
        names = {canonicalize_name(name) for name in pinned} - set(left_out)
        stages[image] = ImageStage(image, tuple(packages), frozenset(names))
    return stages


def _stages() -> Iterator[tuple[str, list[str]]]:
    text = re.sub(r"\\\n\s*", "", CONTAINERFILE.read_text("utf-8"))
    for part in re.split(r"^FROM ", text, flags=re.MULTILINE)[1:]:
        first, *instructions = part.splitlines()
        yield first.split(" AS ")[1], instructions


def entry_package(image: str) -> str:
    """Return the package whose `__main__` is the command of *image*."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return str(project["scripts"][image]).partition(".")[0]


def reached(package: str) -> dict[Path, set[str]]:
    """Return what the modules of *package*, and of ours that they import, import of others.

    Keys are files of the repository, values are names of modules that are neither ours nor
    Python's. Imports inside functions count: a program that fails in the middle is no better.
    """
    waiting = sorted((ROOT / package).rglob("*.py"))
    found: dict[Path, set[str]] = {}
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        names = set(_imported(parse(path)))
        ours = {name for name in names if name.partition(".")[0] in _OURS}
        found[path] = {
            n for n in names - ours if n.partition(".")[0] not in sys.stdlib_module_names
        }
        waiting += [file for name in sorted(ours) for file in _files(name)]
    return found


def distributions_of(module: str) -> frozenset[str]:
    """Return the normalised names of the installed distributions that *module* may come from."""
    named = _DISTRIBUTIONS.get(module.partition(".")[0], [])
    return frozenset(canonicalize_name(name) for name in named)


_DISTRIBUTIONS: Final = packages_distributions()


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _files(module: str) -> Iterator[Path]:
    """Yield the file of our *module*, and those of the packages that hold it."""
    base = ROOT / "gen" if module.partition(".")[0] == "keyturn" else ROOT
    parts = module.split(".")
    for length in range(1, len(parts) + 1):
        path = base.joinpath(*parts[:length])
        candidates = (path.with_suffix(".py"), path / "__init__.py")
        yield from (candidate for candidate in candidates if candidate.is_file())
