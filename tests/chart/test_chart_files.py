"""What the chart takes from elsewhere in the repository is what stands there."""

from __future__ import annotations

import json
import subprocess
import tomllib

import pytest
import yaml

from tests.chart.chart_engines import CHART, ROOT
from tests.chart.releases import Release


def _read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


@pytest.mark.parametrize("tool", ["copy_chart_files", "render_kustomize"])
def test_what_is_made_of_other_files_is_up_to_date(tool: str) -> None:
    checked = subprocess.run(
        [ROOT / f"tools/{tool}.sh", "--check"], check=False, capture_output=True, text=True
    )

    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_charts_version_is_the_projects() -> None:
    project = tomllib.loads(_read("pyproject.toml"))["project"]
    chart = yaml.safe_load(_read("deploy/chart/Chart.yaml"))

    assert {chart["version"], chart["appVersion"]} == {project["version"]}


def test_bootstrap_is_given_the_policies_of_the_repository(minimal: Release) -> None:
    workload = minimal.workload("bootstrap")
    folder = minimal.settings(workload)["bootstrap"]["policy_dir"]
    mounted = {
        path.removeprefix(f"{folder}/"): text
        for path, text in minimal.mounted_texts(workload)
        if path.startswith(folder)
    }
    kept = {
        path.name: path.read_text("utf-8") for path in (ROOT / "deploy/vault/policies").iterdir()
    }

    assert {name: text.strip() for name, text in mounted.items()} == {
        name: text.strip() for name, text in kept.items()
    }


def test_the_rules_of_prometheus_are_those_of_the_repository(releases: dict[str, Release]) -> None:
    [rendered] = releases["full"].of_kind("PrometheusRule")
    kept = yaml.safe_load(_read("deploy/observability/alerts/keyturn.rules.yml"))

    assert rendered["spec"] == kept


def test_the_dashboards_are_those_of_the_repository(releases: dict[str, Release]) -> None:
    kept = [
        json.loads(path.read_text("utf-8"))
        for path in sorted((ROOT / "deploy/observability/dashboards").iterdir())
    ]
    rendered = [
        json.loads(text)
        for item in releases["full"].of_kind("ConfigMap")
        for name, text in item["data"].items()
        if name.endswith(".json")
    ]

    assert sorted(rendered, key=lambda d: d["uid"]) == sorted(kept, key=lambda d: d["uid"])


def test_the_chart_holds_nothing_that_is_not_for_its_users() -> None:
    names = {path.name for path in CHART.iterdir()}

    assert names <= {
        *(".helmignore", "Chart.yaml", "README.md", "ci", "files", "templates"),
        *("values.yaml", "values.schema.json"),
    }


def test_hadolint_has_nothing_to_say_of_the_images() -> None:
    containerfile = ROOT / "deploy/images/Containerfile"
    linted = subprocess.run(
        [ROOT / ".venv/bin/hadolint", "--no-color", containerfile],
        check=False,
        capture_output=True,
        text=True,
    )

    assert linted.returncode == 0, linted.stdout + linted.stderr
