"""Check requirements/ against pyproject.toml, without network.

Proves that every requirement of an extra or a dependency group is pinned by its lock to a
version that satisfies it, that every pin has a hash, that the locks of the extras agree with each
other, and that none names a host.
It cannot see that a newer release exists or that a pin is no longer needed: `make lock` does.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
_SHARED = {"service"}  # extras that others take in, and nobody installs alone
_PIN = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;\\]+)")
# A lock holds names, versions, hashes and uv's `# via` comments; nothing in it needs these.
_PLACE = re.compile(
    r"://|^\s*(-i|-f|-e|--(extra-)?index-url|--find-links|--editable)\b|\s@\s"
    r"|\b[a-z0-9-]+\.(com|dev|io|net|org)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Pin:
    """One pinned version in a lock."""

    name: str
    version: str
    is_hashed: bool


def read_pins(lock: str) -> list[Pin]:
    """Return the pins of *lock*, the text of a requirements file."""
    entries = re.split(r"(?<!\\)\n(?=\S)", lock)
    found = [(_PIN.match(entry), entry) for entry in entries]
    return [
        Pin(canonicalize_name(match["name"]), match["version"], "--hash=sha256:" in entry)
        for match, entry in found
        if match
    ]


def expand(extra: str, project: dict[str, object], extras: dict[str, list[str]]) -> set[str]:
    """Return the requirements of *extra*, with references to other extras of ours followed."""
    expanded: set[str] = set()
    for text in extras[extra]:
        requirement = Requirement(text)
        if requirement.name == project["name"]:
            for other in requirement.extras:
                expanded |= expand(other, project, extras)
        else:
            expanded.add(text)
    return expanded


def lock_faults(lock: Path, required: set[str]) -> Iterator[str]:
    """Yield what is wrong with *lock*, which must pin every one of *required*."""
    text = lock.read_text(encoding="utf-8")
    pins = read_pins(text)
    for number, line in enumerate(text.splitlines(), 1):
        if _PLACE.search(line):
            yield f"line {number} names a place to download from"
    for pin in pins:
        if not pin.is_hashed:
            yield f"{pin.name} has no hash"
    for requirement in map(Requirement, sorted(required)):
        yield from requirement_faults(requirement, pins)


def requirement_faults(requirement: Requirement, pins: list[Pin]) -> Iterator[str]:
    """Yield how *pins* fail *requirement*."""
    versions = [p.version for p in pins if p.name == canonicalize_name(requirement.name)]
    if not versions:
        yield f"{requirement} is not pinned"
    for version in versions:
        if not requirement.specifier.contains(version, prereleases=True):
            yield f"{requirement} is pinned to {version}"


def disagreements(locks: list[Path]) -> Iterator[str]:
    """Yield what *locks*, of which some may be missing, pin to different versions."""
    versions: dict[str, dict[str, set[str]]] = {}
    for lock in locks:
        for pin in read_pins(lock.read_text(encoding="utf-8")) if lock.exists() else []:
            versions.setdefault(pin.name, {}).setdefault(lock.name, set()).add(pin.version)
    for name, by_lock in versions.items():
        if len({frozenset(pinned) for pinned in by_lock.values()}) > 1:
            yield f"{name} differs between {', '.join(sorted(by_lock))}"


def main() -> int:
    """Print every fault; return 1 when there is one."""
    configuration = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project = configuration["project"]
    extras = project["optional-dependencies"]
    groups = configuration["dependency-groups"]
    required = {
        extra: expand(extra, project, extras) | set(project["dependencies"]) for extra in extras
    }
    faults: list[str] = []
    for name, requirements in {**required, **groups}.items():
        if name in _SHARED:
            continue
        lock = ROOT / "requirements" / f"{name}.txt"
        if lock.exists():
            faults += [f"{lock.name}: {fault}" for fault in lock_faults(lock, set(requirements))]
        else:
            faults.append(f"{lock.name}: missing")
    # A group is installed where no extra is.
    faults += disagreements([ROOT / "requirements" / f"{extra}.txt" for extra in extras])
    for fault in faults:
        print(fault, file=sys.stderr)
    if faults:
        print("The locks do not fit pyproject.toml. Run: make lock", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
