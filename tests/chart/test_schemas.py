"""Every rendered object is what Kubernetes, in three versions, or its maker expects."""

from __future__ import annotations

from typing import Any

import pytest

from tests.chart.custom_kinds import CUSTOM_KINDS, custom_errors
from tests.chart.kubernetes_schemas import VERSIONS, UnknownKindError, schema_errors
from tests.chart.releases import Release

_POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p"},
    "spec": {"containers": [{"name": "c", "image": "i"}]},
}


def _is_custom(item: dict[str, Any]) -> bool:
    return (item["apiVersion"], item["kind"]) in CUSTOM_KINDS


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_takes_every_object(release: Release, version: str) -> None:
    wrong = {
        f"{item['kind']} {item['metadata']['name']}": errors
        for item in release.objects
        if not _is_custom(item)
        if (errors := schema_errors(item, version))
    }

    assert wrong == {}


def test_custom_objects_are_as_their_makers_say(release: Release) -> None:
    wrong = {
        f"{item['kind']} {item['metadata']['name']}": errors
        for item in release.objects
        if _is_custom(item)
        if (errors := custom_errors(item))
    }

    assert wrong == {}


def test_the_combinations_render_every_custom_kind(releases: dict[str, Release]) -> None:
    rendered = {
        (item["apiVersion"], item["kind"])
        for release in releases.values()
        for item in release.objects
    }

    assert set(CUSTOM_KINDS) - rendered == set()


@pytest.mark.parametrize("version", VERSIONS)
def test_an_unknown_field_is_an_error(version: str) -> None:
    misspelt = {**_POD, "spec": {**_POD["spec"], "hostNetwrk": True}}

    assert schema_errors(_POD, version) == []
    assert "hostNetwrk" in " ".join(schema_errors(misspelt, version))


def test_every_error_is_reported() -> None:
    wrong = {**_POD, "spec": {"containers": [{"name": "c", "image": 1}], "hostPID": "yes"}}

    assert len(schema_errors(wrong, "1.37")) == 2


def test_a_kind_that_is_gone_is_told() -> None:
    with pytest.raises(UnknownKindError, match=r"policy/v1beta1 PodSecurityPolicy in 1\.37"):
        schema_errors({"apiVersion": "policy/v1beta1", "kind": "PodSecurityPolicy"}, "1.37")
