"""Puts together the root folder that all images have in common: the interpreter and its system.

It takes the base image's Python, the libraries that it needs, CA certificates, time zones and a
user, and leaves out whatever runs other programs, installs, compiles or tests.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tools.images.debian_packages import DebianPackage, DebianPackages
from tools.images.shared_libraries import elf_files, needed_libraries
from tools.images.tree import compile_modules, settle

_USER_ID: Final = 65532  # `nonroot`, as in other images without a shell
_TEXTS: Final = {
    "etc/passwd": "root:x:0:0:root:/nonexistent:/nonexistent\n"
    f"nonroot:x:{_USER_ID}:{_USER_ID}:nonroot:/home/nonroot:/nonexistent\n",
    "etc/group": f"root:x:0:\nnonroot:x:{_USER_ID}:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}
# What no image needs of the standard library: other people's tests, installers, windows, shells.
_LEFT_OUT: Final = (
    "__pycache__",
    "config-3*",
    "dist-packages",
    "distutils",
    "ensurepip",
    "idlelib",
    "lib2to3",
    "pydoc_data",
    "site-packages",
    "sitecustomize.py",
    "test",
    "tests",
    "tkinter",
    "turtle.py",
    "turtledemo",
    "venv",
)
_MODULES_LEFT_OUT: Final = (
    "_crypt.*",
    "_ctypes_test.*",
    "_curses*",
    "_dbm.*",
    "_gdbm.*",
    "_test*",
    "_tkinter.*",
    "_xx*",
    "audioop.*",
    "nis.*",
    "ossaudiodev.*",
    "readline.*",
    "xx*",
)
_ZONES_LEFT_OUT: Final = ("leap*", "posix", "right", "tzdata.zi", "*.tab")
# Those that extension modules of the requirements are linked to beside the interpreter's own: the
# runtimes of C++ and Rust, and parts of the C library that were once apart.
_LIBRARIES: Final = (
    "libdl.so.2",
    "libgcc_s.so.1",
    "libpthread.so.0",
    "librt.so.1",
    "libstdc++.so.6",
)
_CERTIFICATES: Final = Path("/etc/ssl/certs/ca-certificates.crt")
_LDCONFIG: Final = Path("/usr/sbin/ldconfig")
# By both scanners tell which release of which system the packages are of.
_NAMES: Final = (Path("/etc/debian_version"), Path("/usr/lib/os-release"))
_ZONES: Final = Path("/usr/share/zoneinfo")
_LOADER_FILES: Final = (Path("/etc/ld.so.conf"), Path("/etc/ld.so.conf.d"))


class IncompleteBaseError(Exception):
    """The base image lacks what an image needs."""


@dataclass(slots=True)
class RuntimeRoot:
    """The root folder while it is put together.

    Attributes:
        packages: The Debian packages that something was taken of, by name.
    """

    root: Path
    installed: DebianPackages = field(default_factory=DebianPackages)
    packages: dict[str, DebianPackage] = field(default_factory=dict)

    def add_interpreter(self) -> None:
        """Take the interpreter, the standard library, and the libraries that both need."""
        program = Path(sys.executable).resolve()
        self._copy(program)
        modules = Path(sysconfig.get_path("stdlib"))
        shutil.copytree(
            modules,
            self._inside(modules),
            ignore=shutil.ignore_patterns(*_LEFT_OUT),
            symlinks=False,
        )
        for pattern in _MODULES_LEFT_OUT:
            for module in (self._inside(modules) / "lib-dynload").glob(pattern):
                module.unlink()
        self._note(program, *(modules / p for p in _below(self._inside(modules))))
        compile_modules(self._inside(modules), root=self.root)
        further = _further_libraries()
        needed = needed_libraries([program, *elf_files(self._inside(modules)), *further])
        for library in sorted(needed.union(further)):
            self._copy(library)

    def add_system(self) -> None:
        """Take the CA certificates, the time zones, the system's name; write the user."""
        for folder in ("bin", "lib", "lib64", "sbin"):
            if Path("/", folder).is_symlink() and (self.root / "usr" / folder).is_dir():
                (self.root / folder).symlink_to(Path("usr", folder))
        self._copy(_CERTIFICATES)
        # Where OpenSSL looks by itself, the interpreter's and that of any other program.
        link = self.root / "usr/lib/ssl/cert.pem"
        link.parent.mkdir(parents=True)
        link.symlink_to(_CERTIFICATES)
        self._note_named("ca-certificates", "tzdata")
        shutil.copytree(
            _ZONES,
            self._inside(_ZONES),
            ignore=shutil.ignore_patterns(*_ZONES_LEFT_OUT),
            symlinks=True,
        )
        for path in _NAMES:
            self._copy(path)
        (self.root / "home").mkdir()
        (self.root / "etc/os-release").symlink_to("../usr/lib/os-release")
        for name, text in _TEXTS.items():
            (self.root / name).write_text(text, "utf-8")

    def write_loader_cache(self) -> None:
        """Write the list by which the loader finds libraries outside its own folders."""
        for path in _LOADER_FILES:
            if path.is_dir():
                shutil.copytree(path, self._inside(path))
            else:
                self._copy(path)
        subprocess.run([_LDCONFIG, "-X", "-r", self.root], check=True)
        shutil.rmtree(self.root / "var/cache", ignore_errors=True)

    def write_packages(self) -> None:
        """Write which packages are inside, where scanners of images look, and their licences."""
        database = self.root / "var/lib/dpkg/status.d"
        database.mkdir(parents=True)
        for name, package in sorted(self.packages.items()):
            (database / name).write_text(package.stanza + "\n", "utf-8")
            copyright_file = Path("/usr/share/doc", name, "copyright")
            if copyright_file.is_file():
                self._copy(copyright_file)

    def _copy(self, path: Path) -> None:
        if not path.is_file():
            raise IncompleteBaseError(f"the base image has no {path}")
        target = self._inside(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
        self._note(path, path.resolve())

    def _inside(self, path: Path) -> Path:
        return self.root / path.relative_to("/")

    def _note(self, *paths: Path) -> None:
        for path in paths:
            package = self.installed.owner(path)
            if package is not None:
                self.packages[package.name] = package

    def _note_named(self, *names: str) -> None:
        for name in names:
            self._note(Path("/usr/share/doc", name, "copyright"))


def _further_libraries() -> list[Path]:
    folder = Path("/usr/lib", sysconfig.get_config_var("MULTIARCH"))
    return [folder / name for name in _LIBRARIES]


def _below(folder: Path) -> Iterable[Path]:
    return (path.relative_to(folder) for path in folder.rglob("*"))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line *argv*, that of the process by default; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path, help="folder to make")
    parser.add_argument("--epoch", type=int, required=True, help="time of all files, Unix seconds")
    arguments = parser.parse_args(argv)
    root = RuntimeRoot(arguments.root)
    root.add_interpreter()
    root.add_system()
    root.write_packages()
    root.write_loader_cache()
    settle(root.root, arguments.epoch)
    print(f"{len(root.packages)} packages gave files: {' '.join(sorted(root.packages))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
