"""Completes the folder of an image's program: packages, command, bytecode, bill of materials.

It fails, and the build with it, where a library of the system is needed that the image lacks.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tools.images.app_folder import APP, INSTALLED, SBOM, SITE, write_command
from tools.images.bill_of_materials import Contents, bill_of_materials, read_wheel_hashes
from tools.images.shared_libraries import LibraryMissingError, elf_files, needed_libraries
from tools.images.tree import compile_modules, settle

_PACKAGES: Final = Path("packages")
_PROJECT: Final = Path("pyproject.toml")
_LICENCE: Final = Path("LICENSE")
# Tests of requirements: they import what is not there.
_LEFT_OUT: Final = ("test", "tests")


def add_packages(project: Mapping[str, Any]) -> None:
    """Put our packages beside the requirements, and say which release they are."""
    for package in sorted(_PACKAGES.iterdir()):
        shutil.copytree(package, SITE / package.name)
    information = SITE / f"{project['name']}-{project['version']}.dist-info"
    information.mkdir()
    fields = {
        "Metadata-Version": "2.4",
        "Name": project["name"],
        "Version": project["version"],
        "Summary": project["description"],
        "License-Expression": project["license"],
        "License-File": _LICENCE.name,
    }
    text = "".join(f"{name}: {value}\n" for name, value in fields.items())
    (information / "METADATA").write_text(text, "utf-8")
    (information / "licenses").mkdir()
    shutil.copy(_LICENCE, information / "licenses")


def leave_out_tests() -> None:
    """Remove the tests that requirements brought along."""
    for folder in sorted(SITE.rglob("*"), reverse=True):
        if folder.name in _LEFT_OUT and folder.is_dir():
            shutil.rmtree(folder)


def check_libraries(runtime: Path) -> None:
    """Check that every library that a requirement needs is in the image.

    Raises:
        LibraryMissingError: One is not.
    """
    outside = (path for path in needed_libraries(elf_files(SITE)) if not path.is_relative_to(APP))
    missing = sorted(str(p) for p in outside if not (runtime / p.relative_to("/")).exists())
    if missing:
        raise LibraryMissingError(f"not in {runtime}: {' '.join(missing)}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line *argv*, that of the process by default; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("image", help="the image, which is also the name of its command")
    parser.add_argument("--runtime", type=Path, required=True, help="root folder of the image")
    parser.add_argument("--epoch", type=int, required=True, help="time of all files, Unix seconds")
    arguments = parser.parse_args(argv)
    project = tomllib.loads(_PROJECT.read_text("utf-8"))["project"]

    add_packages(project)
    leave_out_tests()
    write_command(arguments.image, project["scripts"][arguments.image])
    check_libraries(arguments.runtime)
    compile_modules(SITE, root=Path("/"))
    contents = Contents(SITE, read_wheel_hashes(INSTALLED), arguments.runtime)
    bill = bill_of_materials(arguments.image, project["version"], contents, arguments.epoch)
    SBOM.write_text(json.dumps(bill, indent=2) + "\n", "utf-8")
    settle(APP, arguments.epoch)
    print(f"{arguments.image}: {len(bill['components'])} components in its bill of materials")
    return 0


if __name__ == "__main__":
    sys.exit(main())
