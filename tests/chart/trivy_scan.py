"""Runs of trivy: its own checks over manifests, and ours over whole releases."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.chart.chart_engines import ROOT

CHECKS = ROOT / "deploy/checks"
RULES = CHECKS / "rego"
EXCEPTIONS = CHECKS / "trivy-ignore.yaml"

Object = dict[str, Any]

_TRIVY = ROOT / ".venv/bin/trivy"


@dataclass(frozen=True)
class Verdict:
    """What one check says of one file.

    Attributes:
        target: The file, below the folder that was scanned.
        check: Id of the check.
        title: What the check is about.
        passed: Whether the file has nothing that the check is about, or has it right.
        message: What is wrong, of a check that failed.
    """

    target: str
    check: str
    title: str
    passed: bool
    message: str


def write_release(folder: Path, name: str, objects: Sequence[Object]) -> None:
    """Write a release as our rules read it: one file *name*.json with all objects."""
    (folder / f"{name}.json").write_text(json.dumps({"objects": objects}), encoding="utf-8")


def write_manifests(folder: Path, name: str, objects: Sequence[Object]) -> None:
    """Write a release as trivy's checks read it: a folder *name* with a file per object."""
    (folder / name).mkdir()
    for item in objects:
        file = folder / name / f"{item['kind']}-{item['metadata']['name']}.yaml".lower()
        file.write_text(yaml.safe_dump(item), encoding="utf-8")


def scan(folder: Path, *, ignore_file: Path | None = None) -> list[Verdict]:
    """Check all files below *folder*, without any network.

    Args:
        folder: What `write_release` and `write_manifests` wrote into.
        ignore_file: Exceptions; none by default.
    """
    cache = folder.with_name(f"{folder.name}-cache")
    flags = {
        "--cache-dir": str(cache),
        "--config-check": str(RULES),
        "--check-namespaces": "user",
        "--misconfig-scanners": "kubernetes,json",
        "--ignorefile": str(ignore_file or ""),
        "--config": "",
        "--format": "json",
    }
    done = subprocess.run(
        [
            _TRIVY,
            *("config", "--quiet", "--include-non-failures", "--skip-check-update"),
            *("--skip-version-check", "--disable-telemetry"),
            *(text for flag in flags.items() for text in flag),
            folder,
        ],
        env={"HOME": str(cache)},
        check=True,
        capture_output=True,
        text=True,
    )
    return [
        _verdict(result["Target"], found)
        for result in json.loads(done.stdout)["Results"]
        for found in result.get("Misconfigurations") or ()
    ]


def _verdict(target: str, found: Mapping[str, Any]) -> Verdict:
    message = found.get("Message") or ""
    return Verdict(target, found["ID"], found["Title"], found["Status"] == "PASS", message)
