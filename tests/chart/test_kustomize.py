"""What is made for teams without Helm is what the chart makes, and passes the same checks."""

from __future__ import annotations

import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway_svc.settings import Settings as GatewaySettings
from keyvault_svc.settings import Settings as KeyvaultSettings
from tests.chart.chart_engines import ROOT
from tests.chart.custom_kinds import CUSTOM_KINDS, custom_errors
from tests.chart.kubernetes_schemas import VERSIONS, schema_errors
from tests.chart.trivy_scan import scan, write_release

Object = dict[str, Any]

_FOLDER = ROOT / "deploy/kustomize"
_OVERLAYS = sorted(path.name for path in (_FOLDER / "overlays").iterdir())
_NAMESPACE = "keyturn"
_COMPONENT = "app.kubernetes.io/component"
_NOT_OBJECTS = "kustomization.yaml"


def _base() -> list[Object]:
    return [
        item
        for path in sorted((_FOLDER / "base").glob("*.yaml"))
        if path.name != _NOT_OBJECTS
        for item in yaml.safe_load_all(path.read_text(encoding="utf-8"))
        if item
    ]


def _built(overlay: str) -> list[Object]:
    """Return what `kubectl kustomize` makes of *overlay*."""
    built = subprocess.run(
        ["kubectl", "kustomize", _FOLDER / "overlays" / overlay],
        check=True,
        capture_output=True,
        text=True,
    )
    return list(yaml.safe_load_all(built.stdout))


def _errors(objects: list[Object]) -> dict[str, list[str]]:
    return {
        f"{item['kind']} {item['metadata']['name']}": errors
        for item in objects
        for custom in [(item["apiVersion"], item["kind"]) in CUSTOM_KINDS]
        for version in VERSIONS
        if (errors := custom_errors(item) if custom else schema_errors(item, version))
    }


def test_kubernetes_takes_the_base() -> None:
    assert _errors(_base()) == {}


def test_the_base_has_nothing_that_is_there_for_a_test_of_helm() -> None:
    """Applied without Helm it would stay, and with it the way to the health ports."""
    hooks = {item["metadata"].get("annotations", {}).get("helm.sh/hook") for item in _base()}

    assert "test" not in hooks


def test_the_base_names_every_file_beside_it() -> None:
    kustomization = yaml.safe_load((_FOLDER / "base" / _NOT_OBJECTS).read_text(encoding="utf-8"))
    there = {path.name for path in (_FOLDER / "base").glob("*.yaml")} - {_NOT_OBJECTS}

    assert set(kustomization["resources"]) == there


@pytest.mark.parametrize("overlay", _OVERLAYS)
def test_the_services_read_an_overlays_settings(overlay: str) -> None:
    readers = {"gateway-svc": GatewaySettings}
    files = sorted((_FOLDER / "overlays" / overlay).glob("settings/*.toml"))

    assert [readers.get(file.stem, KeyvaultSettings).load(file) for file in files]


@pytest.mark.parametrize("overlay", _OVERLAYS)
def test_an_overlay_sets_what_the_base_sets(overlay: str) -> None:
    files = sorted((_FOLDER / "overlays" / overlay).glob("settings/*.toml"))
    theirs = {f"keyturn-{file.stem}": _names_in(file.read_text(encoding="utf-8")) for file in files}

    assert theirs == _base_settings()


@pytest.mark.parametrize("overlay", _OVERLAYS)
def test_the_bases_pods_have_the_time_that_an_overlays_services_take_to_stop(overlay: str) -> None:
    folder = _FOLDER / "overlays" / overlay / "settings"
    spare = {
        item["metadata"]["name"]: pod["terminationGracePeriodSeconds"]
        - pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
        - tomllib.loads(file.read_text(encoding="utf-8"))["drain_seconds"]
        for item in _base()
        if item["kind"] == "Deployment"
        for pod in [item["spec"]["template"]["spec"]]
        for file in [folder / f"{item['metadata']['labels'][_COMPONENT]}.toml"]
    }

    assert len(spare) == 2
    assert min(spare.values()) >= 15


def _base_settings() -> dict[str, set[str]]:
    """Return the names of the settings in each file of the base, by its ConfigMap."""
    made = {
        item["metadata"]["name"]: item["data"]["settings.toml"]
        for item in _base()
        if item["kind"] == "ConfigMap" and "settings.toml" in item["data"]
    }
    generated = {
        path.parent.name: path.read_text(encoding="utf-8")
        for path in (_FOLDER / "base/files").glob("*/settings.toml")
    }
    return {name: _names_in(text) for name, text in (made | generated).items()}


def _names_in(text: str) -> set[str]:
    return set(_names(tomllib.loads(text)))


def _names(table: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _names(value, f"{prefix}{name}.")
        else:
            yield prefix + name


@pytest.mark.kubectl
@pytest.mark.parametrize("overlay", _OVERLAYS)
def test_kubernetes_takes_an_overlay(overlay: str) -> None:
    objects = _built(overlay)

    assert _errors(objects) == {}
    assert {item["metadata"].get("namespace", _NAMESPACE) for item in objects} == {_NAMESPACE}


@pytest.mark.kubectl
@pytest.mark.parametrize("overlay", _OVERLAYS)
def test_an_overlay_leaves_no_object_of_the_base_out(overlay: str) -> None:
    base = {(item["kind"], item["metadata"]["name"]) for item in _base()}

    assert base <= {(item["kind"], item["metadata"]["name"]) for item in _built(overlay)}


@pytest.mark.kubectl
def test_our_rules_find_nothing_in_the_overlays(tmp_path: Path) -> None:
    folder = tmp_path / "overlays"
    folder.mkdir()
    for overlay in _OVERLAYS:
        write_release(folder, overlay, _built(overlay))

    assert [v.message for v in scan(folder) if not v.passed] == []
