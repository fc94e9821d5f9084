"""The chart's settings, read by the services' own code, and what they name in the pods."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest
from pydantic import BaseModel

from gateway_svc.settings import Settings as GatewaySettings
from keyvault_svc.settings import Settings as KeyvaultSettings
from svc_runtime.settings_models import SettingsError
from tests.chart.releases import Release, Workload, mounted_files, mounts

Settings = GatewaySettings | KeyvaultSettings

# Whose settings each component reads. Jobs run commands of the services.
_READERS: dict[str, type[Settings]] = {
    "keyvault-svc": KeyvaultSettings,
    "bootstrap": KeyvaultSettings,
    "rewrap": KeyvaultSettings,
    "remind": KeyvaultSettings,
    "gateway-svc": GatewaySettings,
    "reconcile": GatewaySettings,
}
# Tables that must be there and that the job does not look at: it neither listens nor counts.
_UNREAD = {
    "bootstrap": {"limits", "notifications", "tls"},
    "rewrap": {"limits", "notifications", "tls"},
    "remind": {"limits", "tls"},
}


def _load(release: Release, workload: Workload, folder: Path) -> Settings:
    file = folder / f"{release.combination}-{workload.component}.toml"
    file.write_text(release.settings_text(workload), encoding="utf-8")
    return _READERS[workload.component].load(file)


@pytest.fixture
def loaded(release: Release, tmp_path: Path) -> dict[str, Settings]:
    """The settings of each component, as its process has them."""
    return {w.component: _load(release, w, tmp_path) for w in _configured(release)}


def _configured(release: Release) -> list[Workload]:
    """Return all but the test of the release, which needs no settings."""
    return [workload for workload in release.workloads if workload.component != "test"]


def _paths(model: BaseModel, name: str = "") -> Iterator[tuple[str, PurePosixPath]]:
    """Yield every file that *model* names, with the setting that names it."""
    for field in type(model).model_fields:
        yield from _paths_of(getattr(model, field), f"{name}.{field}".lstrip("."))


def _paths_of(value: object, name: str) -> Iterator[tuple[str, PurePosixPath]]:
    if isinstance(value, BaseModel):
        yield from _paths(value, name)
    elif isinstance(value, Path):
        yield name, PurePosixPath(value)
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _paths_of(item, f"{name}[]")


def _read_paths(component: str, settings: Settings) -> set[PurePosixPath]:
    unread = _UNREAD.get(component, set())
    return {path for name, path in _paths(settings) if name.split(".")[0] not in unread}


def _is_mounted(path: PurePosixPath, files: set[str]) -> bool:
    """A folder is there if a file is in it, and a file if it or its made-at-run-time folder is."""
    return any(
        PurePosixPath(file) == path
        or path in PurePosixPath(file).parents
        or (file.endswith("/") and PurePosixPath(file) in path.parents)
        for file in files
    )


def test_the_services_read_their_settings(loaded: dict[str, Settings]) -> None:
    assert set(loaded) >= {"keyvault-svc", "gateway-svc"}


def test_a_setting_that_the_services_do_not_know_is_noticed(
    minimal: Release, tmp_path: Path
) -> None:
    file = tmp_path / "settings.toml"
    text = minimal.settings_text(minimal.workload("keyvault-svc"))
    file.write_text(f"misspelt = 1\n{text}", encoding="utf-8")

    with pytest.raises(SettingsError, match="misspelt"):
        KeyvaultSettings.load(file)


def test_every_file_that_settings_name_is_mounted(
    release: Release, loaded: dict[str, Settings]
) -> None:
    missing = {
        f"{workload.component}: {path}"
        for workload in _configured(release)
        for path in _read_paths(workload.component, loaded[workload.component])
        if not _is_mounted(path, mounted_files(release, workload))
    }

    assert missing == set()


def test_every_mounted_file_is_named_by_a_setting(
    release: Release, loaded: dict[str, Settings]
) -> None:
    unused = {
        f"{workload.component}: {file}"
        for workload in release.workloads
        for file in mounted_files(release, workload)
        if not file.endswith("/settings.toml")
        and not any(
            _is_mounted(path, {file})
            for path in _read_paths(workload.component, loaded[workload.component])
        )
    }

    assert unused == set()


def test_only_made_files_are_written_to(release: Release) -> None:
    writable = {
        (workload.component, mount["mountPath"])
        for workload in release.workloads
        for mount in workload.container.get("volumeMounts", ())
        if not mount.get("readOnly")
    }
    made = {
        (workload.component, folder)
        for workload in release.workloads
        for folder, volume in mounts(workload)
        if "emptyDir" in volume or "persistentVolumeClaim" in volume
    }

    assert writable <= made


def test_files_are_mounted_as_folders_so_that_renewals_arrive(release: Release) -> None:
    fixed = [
        f"{workload.component}: {mount['mountPath']}"
        for workload in release.workloads
        for mount in workload.container.get("volumeMounts", ())
        if "subPath" in mount
    ]

    assert fixed == []


def test_a_service_waits_for_its_certificate_where_a_helper_fetches_it(
    release: Release, loaded: dict[str, Settings]
) -> None:
    """Elsewhere kubelet starts no pod without the files, so that one is missing is a fault."""
    has_helper = release.values.get("certificates", {}).get("provider") == "spire"
    waits = {loaded[c].certificate_wait_seconds for c in ("keyvault-svc", "gateway-svc")}

    assert waits == {60 if has_helper else 0}


def test_both_services_believe_the_same_issuers(loaded: dict[str, Settings]) -> None:
    assert loaded["gateway-svc"].app_issuers == loaded["keyvault-svc"].app_issuers
