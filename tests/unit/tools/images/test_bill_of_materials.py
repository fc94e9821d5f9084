"""The bill of materials says what is inside an image, and the same for the same contents."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tools.images.bill_of_materials import Contents, bill_of_materials, read_wheel_hashes

_EPOCH = 1_700_000_000
_HASH = "ab" * 32


@pytest.fixture
def contents(tmp_path: Path) -> Contents:
    site = tmp_path / "site"
    _install(site, "Typing_Extensions", "4.16.0", "License-Expression: PSF-2.0")
    _install(site, "keyturn", "0.1.0", "License-Expression: Apache-2.0")
    runtime = tmp_path / "runtime"
    packages = runtime / "var/lib/dpkg/status.d"
    packages.mkdir(parents=True)
    (packages / "libc6").write_text(
        "Package: libc6\nArchitecture: amd64\nVersion: 2.36-9+deb12u10\n", "utf-8"
    )
    (runtime / "usr/lib").mkdir(parents=True)
    (runtime / "usr/lib/os-release").write_text('NAME="D"\nVERSION_ID="12"\nID=debian\n', "utf-8")
    return Contents(site, {"typing-extensions": _HASH}, runtime)


def _install(site: Path, name: str, version: str, *fields: str) -> None:
    information = site / f"{name}-{version}.dist-info"
    information.mkdir(parents=True)
    lines = ["Metadata-Version: 2.4", f"Name: {name}", f"Version: {version}", *fields]
    (information / "METADATA").write_text("\n".join(lines) + "\n", "utf-8")


def _components(contents: Contents) -> dict[str, dict[str, Any]]:
    bill = bill_of_materials("keyturn", "0.1.0", contents, _EPOCH)
    return {component["name"]: component for component in bill["components"]}


def test_a_requirement_is_listed_with_the_hash_of_its_wheel(contents: Contents) -> None:
    assert _components(contents)["typing-extensions"] == {
        "type": "library",
        "bom-ref": "pkg:pypi/typing-extensions@4.16.0",
        "name": "typing-extensions",
        "version": "4.16.0",
        "purl": "pkg:pypi/typing-extensions@4.16.0",
        "hashes": [{"alg": "SHA-256", "content": _HASH}],
        "licenses": [{"expression": "PSF-2.0"}],
    }


def test_a_package_of_the_system_is_listed_with_its_release(contents: Contents) -> None:
    purl = _components(contents)["libc6"]["purl"]

    assert purl == "pkg:deb/debian/libc6@2.36-9%2Bdeb12u10?arch=amd64&distro=debian-12"


def test_an_interpreter_that_no_package_brought_is_listed_by_itself(contents: Contents) -> None:
    assert _components(contents)["python"]["purl"].startswith("pkg:generic/python@3.")


def test_keyturn_is_what_the_bill_is_of_and_no_part_of_it(contents: Contents) -> None:
    bill = bill_of_materials("keyturn", "0.1.0", contents, _EPOCH)

    assert bill["metadata"]["component"]["version"] == "0.1.0"
    assert "keyturn" not in _components(contents)


def test_the_same_contents_make_the_same_bill(contents: Contents) -> None:
    first, second = (bill_of_materials("keyturn", "0.1.0", contents, _EPOCH) for _ in range(2))

    assert first == second


def test_other_contents_make_another_serial_number(contents: Contents) -> None:
    first = bill_of_materials("keyturn", "0.1.0", contents, _EPOCH)
    other = Contents(contents.site, {"typing-extensions": "cd" * 32}, contents.runtime)

    assert (
        bill_of_materials("keyturn", "0.1.0", other, _EPOCH)["serialNumber"]
        != first["serialNumber"]
    )


def test_a_requirement_without_known_hash_ends_the_build(contents: Contents) -> None:
    with pytest.raises(KeyError):
        bill_of_materials("keyturn", "0.1.0", Contents(contents.site, {}, contents.runtime), _EPOCH)


@pytest.mark.parametrize(
    ("fields", "licences"),
    [
        (["License: MIT"], [{"license": {"name": "MIT"}}]),
        (["License: " + "long text " * 20], []),
        (
            ["Classifier: License :: OSI Approved :: BSD License"],
            [{"license": {"name": "BSD License"}}],
        ),
    ],
    ids=["named", "text", "classified"],
)
def test_a_licence_is_told_as_its_package_tells_it(
    contents: Contents, fields: list[str], licences: list[dict[str, Any]]
) -> None:
    _install(contents.site, "hvac", "2.4.0", *fields)
    known = Contents(contents.site, {**contents.wheel_hashes, "hvac": _HASH}, contents.runtime)

    assert _components(known)["hvac"]["licenses"] == licences


def test_hashes_come_out_of_the_report_of_the_installation(tmp_path: Path) -> None:
    item = {
        "metadata": {"name": "Typing_Extensions"},
        "download_info": {"archive_info": {"hashes": {"sha256": _HASH}}},
    }
    report = tmp_path / "report.json"
    report.write_text(json.dumps({"install": [item]}), "utf-8")

    assert read_wheel_hashes(report) == {"typing-extensions": _HASH}
