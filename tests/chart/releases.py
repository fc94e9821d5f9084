"""What the chart renders of each values combination, as the tests look at it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

Object = dict[str, Any]

_COMPONENT = "app.kubernetes.io/component"


@dataclass(frozen=True)
class Workload:
    """Something that makes pods: a Deployment, a Job, or a CronJob."""

    kind: str
    name: str
    labels: Mapping[str, str]
    pod: Object

    @property
    def component(self) -> str:
        """What the pods are for."""
        return self.labels[_COMPONENT]

    @property
    def container(self) -> Object:
        """The container that is called as the component; others beside it only help."""
        [found] = [c for c in self.pod["containers"] if c["name"] == self.component]
        return dict(found)

    @property
    def ports(self) -> dict[str, int]:
        """The ports of that container, by name."""
        return {port["name"]: port["containerPort"] for port in self.container.get("ports", ())}


@dataclass(frozen=True)
class Release:
    """All objects that one values combination renders to."""

    combination: str
    values: Mapping[str, Any]
    objects: list[Object]

    def of_kind(self, kind: str) -> list[Object]:
        """Return the objects of *kind*, sorted by name."""
        return [item for item in self.objects if item["kind"] == kind]

    def named(self, kind: str, name: str) -> Object:
        """Return the object of *kind* called *name*."""
        [found] = [item for item in self.of_kind(kind) if item["metadata"]["name"] == name]
        return found

    @cached_property
    def workloads(self) -> list[Workload]:
        """Everything that makes pods."""
        return [
            Workload(item["kind"], item["metadata"]["name"], labels, template["spec"])
            for item in self.objects
            if (template := _pod_template(item))
            for labels in [template["metadata"]["labels"]]
        ]

    def workload(self, component: str) -> Workload:
        """Return the workload of *component*."""
        [found] = [w for w in self.workloads if w.component == component]
        return found

    def settings_text(self, workload: Workload) -> str:
        """Return the text of the settings file that *workload* is started with."""
        arguments = workload.container["args"]
        path = arguments[arguments.index("--config") + 1]
        return str(dict(self.mounted_texts(workload))[path])

    def settings(self, workload: Workload) -> dict[str, Any]:
        """Return the settings of *workload*, as TOML has them."""
        return tomllib.loads(self.settings_text(workload))

    def mounted_texts(self, workload: Workload) -> Iterator[tuple[str, str]]:
        """Yield path and text of each mounted file that the release itself holds."""
        maps = {item["metadata"]["name"]: item["data"] for item in self.of_kind("ConfigMap")}
        for folder, volume in mounts(workload):
            name = volume.get("configMap", {}).get("name")
            for key, path in _items(volume.get("configMap", {}), maps.get(name, {})):
                if name in maps:
                    yield f"{folder}/{path}", maps[name][key]


def mounts(workload: Workload) -> Iterator[tuple[str, Object]]:
    """Yield the folder of each mount of the workload's container, and its volume."""
    volumes = {volume["name"]: volume for volume in workload.pod.get("volumes", ())}
    for mount in workload.container.get("volumeMounts", ()):
        yield mount["mountPath"], volumes[mount["name"]]


def mounted_files(release: Release, workload: Workload) -> set[str]:
    """Return all paths that the mounts of *workload* promise, of whatever source.

    A volume whose files are made at run time (emptyDir, a claim) stands for its folder.
    """
    maps = {item["metadata"]["name"]: item["data"] for item in release.of_kind("ConfigMap")}
    found = set()
    for folder, volume in mounts(workload):
        sources = volume.get("projected", {}).get("sources") or [volume]
        for source in sources:
            found |= {f"{folder}/{path}" for path in _paths(source, maps)}
    return found


def _paths(source: Object, maps: Mapping[str, Mapping[str, str]]) -> set[str]:
    if "serviceAccountToken" in source:
        return {source["serviceAccountToken"]["path"]}
    if "emptyDir" in source or "persistentVolumeClaim" in source:
        return {""}
    volume = source.get("configMap") or source.get("secret") or {}
    return {path for _, path in _items(volume, maps.get(volume.get("name", ""), {}))}


def _items(volume: Object, data: Mapping[str, str]) -> list[tuple[str, str]]:
    if "items" in volume:
        return [(item["key"], item["path"]) for item in volume["items"]]
    return [(key, key) for key in data]


def _pod_template(item: Object) -> Object | None:
    match item["kind"]:
        case "Deployment" | "StatefulSet" | "DaemonSet" | "Job":
            return dict(item["spec"]["template"])
        case "CronJob":
            return dict(item["spec"]["jobTemplate"]["spec"]["template"])
        case "Pod":
            return item
        case _:
            return None
