"""What is in an image, and what is not: read from its archive."""

from __future__ import annotations

import stat
import tomllib
from collections.abc import Callable
from pathlib import PurePosixPath

import pytest

from tests.images.engine import ROOT, Engine
from tests.images.image_archive import ImageArchive

pytestmark = [pytest.mark.images, pytest.mark.timeout(1800)]

_SITE = "opt/keyturn/lib/python3.11/site-packages"
_PACKAGES = {
    "keyvault-svc": {"keyturn", "keyvault_svc", "svc_runtime"},
    "gateway-svc": {"gateway_svc", "keyturn", "svc_runtime"},
    "keyturn": {"keyturn", "keyturn_cli", "svc_runtime"},
}
_OURS = {"gateway_svc", "keyturn", "keyturn_cli", "keyvault_svc", "svc_runtime"}
# Programs and modules that no image may have, wherever they may be.
_PROGRAMS = {"apt", "apt-get", "bao", "bash", "busybox", "cc", "curl", "dash", "dpkg", "env", "gcc"}
_PROGRAMS |= {"ld", "make", "perl", "pip", "pip3", "sh", "su", "vault", "wget", "zsh"}
_MODULES = {"ensurepip", "idlelib", "lib2to3", "pip", "pytest", "setuptools", "test", "tests"}
_MODULES |= {"tkinter", "venv"}
_UNCHECKED_HASH = 1  # PEP 552: bytecode that is taken without a look at its source
_HOME = "home/nonroot"


def test_the_only_programs_are_the_interpreter_and_the_command(
    archive: ImageArchive, image: str
) -> None:
    programs = {
        name
        for name, member in archive.files.items()
        if PurePosixPath(name).parent.name in {"bin", "sbin"} and not member.isdir()
    }

    python = "opt/keyturn/bin/python3"
    target = archive.files[python].linkname.lstrip("/")
    assert {f"opt/keyturn/bin/{image}", python, target} == programs


def test_there_is_no_shell_no_installer_and_no_compiler(archive: ImageArchive) -> None:
    names = {PurePosixPath(name).name for name, m in archive.files.items() if not m.isdir()}

    assert names & _PROGRAMS == set()


def test_there_are_no_tests_and_no_modules_that_install(archive: ImageArchive) -> None:
    folders = {PurePosixPath(name).name for name, m in archive.files.items() if m.isdir()}

    assert folders & _MODULES == set()


def test_nobody_gains_rights_by_a_file(archive: ImageArchive) -> None:
    raising = stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX

    assert [name for name, member in archive.files.items() if member.mode & raising] == []


def test_only_root_may_write_anything_but_a_home(archive: ImageArchive) -> None:
    writable = stat.S_IWGRP | stat.S_IWOTH
    others = {
        name
        for name, member in archive.files.items()
        if (member.uid, member.gid) != (0, 0) or (not member.issym() and member.mode & writable)
    }

    assert others <= {_HOME}


def test_there_are_no_devices(archive: ImageArchive) -> None:
    assert [name for name, member in archive.files.items() if member.isdev()] == []


def test_an_image_has_its_own_packages_and_no_other_of_ours(
    archive: ImageArchive, image: str
) -> None:
    found = {package for package in _OURS if f"{_SITE}/{package}" in archive.files}

    assert found == _PACKAGES[image]


def test_the_key_service_does_not_even_have_the_messages_of_the_gateway(
    archives: dict[str, ImageArchive],
) -> None:
    assert f"{_SITE}/keyturn/keyvault" in archives["keyvault-svc"].files
    assert f"{_SITE}/keyturn/gateway" not in archives["keyvault-svc"].files


def test_every_module_is_compiled_and_taken_as_it_is(archive: ImageArchive) -> None:
    modules = {name for name in archive.files if name.endswith(".py")}
    compiled = {name for name in archive.files if name.endswith(".pyc")}

    stems = {n.replace("/__pycache__/", "/").split(".cpython-")[0] for n in compiled}
    assert stems == {name.removesuffix(".py") for name in modules}
    contents = archive.read_all(compiled)
    flags = {int.from_bytes(content[4:8], "little") for content in contents.values()}
    assert flags == {_UNCHECKED_HASH}


def test_an_image_is_described_by_its_labels(
    engine: Engine, archive: ImageArchive, image: str
) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

    labels = archive.settings["Labels"]
    prefix = "org.opencontainers.image."
    assert labels[f"{prefix}title"] == image
    assert labels[f"{prefix}version"] == project["version"]
    assert labels[f"{prefix}licenses"] == project["license"]
    assert labels[f"{prefix}revision"].removesuffix("-dirty") == engine.commit
    assert labels[f"{prefix}created"] == archive.description["created"]
    assert labels[f"{prefix}base.name"].startswith("python:3.11-slim")
    assert labels[f"{prefix}description"].startswith("Keyturn's ")


def test_an_image_names_its_true_base(archives: dict[str, ImageArchive]) -> None:
    bases = [archive.manifest["annotations"] for archive in archives.values()]

    prefix = "org.opencontainers.image.base."
    assert bases[0][f"{prefix}name"].startswith("python:3.11-slim")
    assert bases[0][f"{prefix}digest"].startswith("sha256:")
    assert bases == [bases[0]] * len(bases)


def test_an_image_starts_its_command_as_nobody(archive: ImageArchive, image: str) -> None:
    settings = archive.settings

    assert settings["User"] == "65532:65532"
    assert settings["Entrypoint"] == [f"/opt/keyturn/bin/{image}"]
    assert settings["StopSignal"] == "SIGTERM"


def test_images_share_the_layer_of_the_interpreter(archives: dict[str, ImageArchive]) -> None:
    assert len({archive.layers[0] for archive in archives.values()}) == 1


def test_the_size_of_an_image_is_known(
    archive: ImageArchive, image: str, record_property: Callable[[str, object], None]
) -> None:
    unpacked = sum(member.size for member in archive.files.values())

    line = f"{image}: {unpacked / 2**20:.0f} MiB, {archive.compressed_bytes / 2**20:.0f} compressed"
    record_property("size", line)
    assert unpacked < 200 * 2**20
