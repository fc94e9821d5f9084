"""Two engines of Helm make the same of the chart, and find nothing wrong with it."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.chart.chart_engines import (
    COMBINATIONS,
    NAMESPACE,
    combination_values,
    lint_with_helm3,
    lint_with_helm4,
    notes_of,
    render_with_helm3,
)
from tests.chart.releases import Release

_EXPECTED = {"full", "hashicorp", "minimal", "single", "spire"}
_CLUSTER_WIDE = {"ClusterRole", "ClusterRoleBinding"}


def test_the_combinations_are_those_that_the_other_tests_count_on() -> None:
    assert set(COMBINATIONS) >= _EXPECTED


@pytest.mark.node
def test_both_engines_render_the_same_objects(release: Release) -> None:
    assert render_with_helm3(release.values) == release.objects


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_helm_4_has_nothing_to_say_of_the_chart(combination: str) -> None:
    assert lint_with_helm4(combination_values(combination)) == []


@pytest.mark.node
@pytest.mark.parametrize("combination", COMBINATIONS)
def test_helm_3_has_nothing_to_say_of_the_chart(combination: str) -> None:
    assert lint_with_helm3(combination_values(combination)) == []


def test_no_object_is_rendered_twice(release: Release) -> None:
    names = Counter((item["kind"], item["metadata"]["name"]) for item in release.objects)

    assert [name for name, count in names.items() if count > 1] == []


def test_every_object_says_its_namespace(release: Release) -> None:
    astray = [
        f"{item['kind']} {item['metadata']['name']}"
        for item in release.objects
        if item["kind"] not in _CLUSTER_WIDE and item["metadata"].get("namespace") != NAMESPACE
    ]

    assert astray == []


def test_every_object_says_what_it_belongs_to(release: Release) -> None:
    wanted = {"name", "instance", "component", "version", "managed-by"}
    missing = {
        f"{item['kind']} {item['metadata']['name']}: {label}"
        for item in release.objects
        for label in wanted
        if f"app.kubernetes.io/{label}" not in item["metadata"].get("labels", {})
    }

    assert missing == set()


def test_names_and_labels_are_no_longer_than_kubernetes_takes(release: Release) -> None:
    too_long = [
        text
        for item in release.objects
        for text in (item["metadata"]["name"], *item["metadata"]["labels"].values())
        if len(text) > 63
    ]

    assert too_long == []


def test_a_service_finds_the_pods_of_one_workload(release: Release) -> None:
    found = {
        service["metadata"]["name"]: [
            workload.component
            for workload in release.workloads
            if service["spec"]["selector"].items() <= workload.labels.items()
        ]
        for service in release.of_kind("Service")
    }

    assert {name: len(components) for name, components in found.items()} == dict.fromkeys(found, 1)


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_the_notes_name_the_objects_that_there_are(
    releases: dict[str, Release], combination: str
) -> None:
    notes = notes_of(combination_values(combination))
    names = {item["metadata"]["name"] for item in releases[combination].objects}

    assert "<no value>" not in notes
    assert any(name in notes for name in names if name.endswith("-keyvault-svc"))


def test_nothing_is_left_without_a_value(release: Release) -> None:
    assert "<no value>" not in str(release.objects)
