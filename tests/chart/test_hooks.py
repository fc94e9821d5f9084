"""What Helm runs before the rest of a release finds there all that it needs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.chart.releases import Release, Workload

Object = dict[str, Any]

_HOOK = "helm.sh/hook"
_DELETE = "helm.sh/hook-delete-policy"
_ARROW = "keyturn/arrow"
_COMPONENT = "app.kubernetes.io/component"


def _annotations(item: Object) -> dict[str, str]:
    return dict(item["metadata"].get("annotations", {}))


def _needs(release: Release, workload: Workload) -> Iterator[Object]:
    """Yield the objects of the release that the pods of *workload* cannot do without."""
    volumes = workload.pod.get("volumes", ())
    maps = {volume["configMap"]["name"] for volume in volumes if "configMap" in volume}
    for item in release.objects:
        name = item["metadata"]["name"]
        if item["kind"] == "ServiceAccount" and name == workload.pod["serviceAccountName"]:
            yield item
        if item["kind"] == "ConfigMap" and name in maps:
            yield item
        if item["kind"] == "NetworkPolicy" and "egress" in item["spec"]:
            selector = item["spec"]["podSelector"]["matchLabels"]
            if selector.items() <= workload.labels.items():
                yield item


def _named(item: Object) -> str:
    return f"{item['kind']} {item['metadata']['name']}"


def _get(release: Release, named: str) -> Object:
    return release.named(*named.split(" "))


def test_a_hook_comes_after_all_that_it_needs(release: Release) -> None:
    late = [
        f"{workload.name}: {_named(needed)}"
        for workload in release.workloads
        for hook in [_annotations(release.named(workload.kind, workload.name))]
        if _HOOK in hook
        for needed in _needs(release, workload)
        for its in [_annotations(needed)]
        if its.get(_HOOK) != hook[_HOOK]
        or int(its["helm.sh/hook-weight"]) >= int(hook["helm.sh/hook-weight"])
    ]

    assert late == []


def test_nothing_that_stays_needs_what_helm_takes_away_again(release: Release) -> None:
    lost = [
        f"{workload.name}: {_named(needed)}"
        for workload in release.workloads
        if _HOOK not in _annotations(release.named(workload.kind, workload.name))
        for needed in _needs(release, workload)
        if _HOOK in _annotations(needed)
    ]

    assert lost == []


def test_a_hook_finds_no_leftover_of_its_last_run_in_the_way(release: Release) -> None:
    policies = {
        _named(item): _annotations(item).get(_DELETE, "")
        for item in release.objects
        if _HOOK in _annotations(item)
    }

    assert [name for name, text in policies.items() if "before-hook-creation" not in text] == []


def test_hooks_run_before_the_pods_that_wait_for_what_they_do(release: Release) -> None:
    """Afterwards would be too late for `helm install --wait`: no pod gets ready before it."""
    phases = {
        phase
        for item in release.objects
        if item["metadata"]["labels"][_COMPONENT] == "bootstrap"
        for phase in [_annotations(item)[_HOOK]]
    }

    assert phases <= {"pre-install,pre-upgrade"}


def test_what_a_test_of_the_release_needs_is_there_while_it_runs(release: Release) -> None:
    """Its ways in to the services, above all: Helm takes away what it made for a test."""
    hooks = {_named(item): _annotations(item).get(_HOOK) for item in release.objects}
    [pod] = release.of_kind("Pod")
    made = {
        _named(item)
        for item in release.objects
        if item["metadata"]["labels"].get(_ARROW, "").startswith("test-")
        or _named(item) == f"ServiceAccount {pod['spec']['serviceAccountName']}"
    }
    gone = {
        name for name in made if _annotations(_get(release, name))[_DELETE].endswith("succeeded")
    }

    assert {name for name, phase in hooks.items() if phase == "test"} == {*made, _named(pod)}
    assert gone == made
