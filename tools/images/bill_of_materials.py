"""The bill of materials of an image, in CycloneDX: what is inside, and which version of it."""

from __future__ import annotations

import json
import platform
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import Distribution, PackageMetadata, distributions
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from tools.images.debian_packages import DebianPackage, parse_stanza

_SPECIFICATION: Final = "1.5"
_OURS: Final = "keyturn"
_LONGEST_LICENCE_NAME: Final = 64  # some packages put the whole text there
_SERIAL_NUMBERS: Final = uuid.UUID("4f0d6c1e-6f6b-5d8e-9a51-3c1b6a0f7a11")  # ours, drawn once

Component = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Contents:
    """What an image is made of.

    Attributes:
        site: Folder of the installed requirements.
        wheel_hashes: SHA-256 of the wheel of each requirement, by normalised name.
        runtime: Root folder with the interpreter and its system.
    """

    site: Path
    wheel_hashes: Mapping[str, str]
    runtime: Path


def read_wheel_hashes(report: Path) -> dict[str, str]:
    """Return the SHA-256 of each wheel out of pip's *report* of an installation."""
    installed = json.loads(report.read_text("utf-8"))["install"]
    return {
        _normalised(item["metadata"]["name"]): item["download_info"]["archive_info"]["hashes"][
            "sha256"
        ]
        for item in installed
    }


def bill_of_materials(
    image: str, version: str, contents: Contents, epoch_seconds: int
) -> dict[str, Any]:
    """Return the bill of *image*; the same for the same contents."""
    components = sorted(
        [*_requirements(contents), *_system(contents.runtime)], key=lambda c: str(c["bom-ref"])
    )
    serial = uuid.uuid5(_SERIAL_NUMBERS, json.dumps([image, version, components], sort_keys=True))
    return {
        "bomFormat": "CycloneDX",
        "specVersion": _SPECIFICATION,
        "serialNumber": serial.urn,
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(epoch_seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": {
                "type": "container",
                "bom-ref": image,
                "name": image,
                "version": version,
                "licenses": [{"expression": "Apache-2.0"}],
            },
        },
        "components": components,
        "dependencies": [{"ref": image, "dependsOn": [c["bom-ref"] for c in components]}],
    }


def _requirements(contents: Contents) -> Iterator[Component]:
    for found in distributions(path=[str(contents.site)]):
        name = _normalised(found.name)
        if name == _OURS:
            continue
        address = f"pkg:pypi/{name}@{quote(found.version)}"
        yield {
            "type": "library",
            "bom-ref": address,
            "name": name,
            "version": found.version,
            "purl": address,
            "hashes": [{"alg": "SHA-256", "content": contents.wheel_hashes[name]}],
            "licenses": _licences(found),
        }


def _system(runtime: Path) -> Iterator[Component]:
    release = _release(runtime)
    packages = [
        parse_stanza(path.read_text("utf-8"))
        for path in sorted((runtime / "var/lib/dpkg/status.d").iterdir())
    ]
    for package in packages:
        yield _debian_component(package, release)
    if not any(package.name.startswith("libpython3") for package in packages):
        version = platform.python_version()
        address = f"pkg:generic/python@{version}"
        yield {
            "type": "application",
            "bom-ref": address,
            "name": "python",
            "version": version,
            "purl": address,
            "licenses": [{"expression": "PSF-2.0"}],
        }


def _debian_component(package: DebianPackage, release: str) -> Component:
    version = quote(package.version, safe="~")
    address = (
        f"pkg:deb/debian/{package.name}@{version}?arch={package.architecture}&distro={release}"
    )
    return {
        "type": "library",
        "bom-ref": address,
        "name": package.name,
        "version": package.version,
        "purl": address,
    }


def _release(runtime: Path) -> str:
    text = (runtime / "usr/lib/os-release").read_text("utf-8")
    fields = dict(re.findall(r'^(ID|VERSION_ID)="?([^"\n]+)"?$', text, re.MULTILINE))
    return f"{fields['ID']}-{fields['VERSION_ID']}"


def _licences(distribution: Distribution) -> Sequence[Mapping[str, Any]]:
    metadata = distribution.metadata
    expression = _field(metadata, "License-Expression")
    if expression:
        return [{"expression": expression}]
    named = _field(metadata, "License")
    if named and len(named) <= _LONGEST_LICENCE_NAME and "\n" not in named:
        return [{"license": {"name": named}}]
    classified = [c.rpartition(" :: ")[2] for c in metadata.get_all("Classifier", [])
                  if c.startswith("License ::")]  # fmt: skip
    return [{"license": {"name": name}} for name in classified]


def _field(metadata: PackageMetadata, name: str) -> str | None:
    values = metadata.get_all(name)
    return str(values[0]) if values else None


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
