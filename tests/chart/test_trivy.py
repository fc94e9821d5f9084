"""trivy's own checks and ours find nothing in what the chart renders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.chart_engines import COMBINATIONS
from tests.chart.releases import Release
from tests.chart.trivy_scan import EXCEPTIONS, Verdict, scan, write_manifests, write_release

# No exception may be about privilege, capability, root, host access or secrets in the environment:
# KSV-0001 to KSV-0121 that are about those, by trivy's titles.
_FORBIDDEN_WORDS = {
    *("privilege", "privileged", "capabilities", "capability", "root", "host", "hostpath"),
    *("uid", "gid", "sysctl", "sysctls", "selinux", "apparmor", "seccomp", "docker", "socket"),
    *("environment", "env", "exec", "token", "proc"),
}

_BAD_POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "bad", "namespace": "keyturn"},
    "spec": {
        "hostNetwork": True,
        "containers": [{"name": "c", "image": "c:latest", "securityContext": {"privileged": True}}],
    },
}


@pytest.fixture(scope="session")
def scanned(
    tmp_path_factory: pytest.TempPathFactory, releases: dict[str, Release]
) -> list[Verdict]:
    """All that is found without any exception, in every combination and in one bad pod."""
    folder = tmp_path_factory.mktemp("scanned")
    for name, release in releases.items():
        write_manifests(folder, name, release.objects)
        write_release(folder, name, release.objects)
    write_manifests(folder, "planted", [_BAD_POD])
    return scan(folder)


def _of(verdicts: list[Verdict], name: str) -> list[Verdict]:
    return [v for v in verdicts if v.target.startswith((f"{name}/", f"{name}."))]


def _exceptions() -> dict[str, str]:
    entries = yaml.safe_load(EXCEPTIONS.read_text(encoding="utf-8"))["misconfigurations"]
    return {entry["id"]: entry["statement"] for entry in entries}


def test_trivy_brings_its_checks_along(scanned: list[Verdict]) -> None:
    own = {v.check for v in scanned if v.check.startswith("KSV")}

    assert len(own) > 50


def test_a_planted_bad_pod_is_found(scanned: list[Verdict]) -> None:
    found = {v.check for v in _of(scanned, "planted") if not v.passed}

    assert found >= {"KSV-0001", "KSV-0009", "KSV-0012", "KSV-0013", "KSV-0014", "KSV-0017"}


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_nothing_is_found_in_the_chart(scanned: list[Verdict], combination: str) -> None:
    found = [
        f"{v.check} {v.target}: {v.message}"
        for v in _of(scanned, combination)
        if not v.passed and v.check not in _exceptions()
    ]

    assert found == []


def test_each_exception_is_still_needed(scanned: list[Verdict]) -> None:
    needed = {v.check for v in _of(scanned, "minimal") if not v.passed}

    assert set(_exceptions()) - needed == set()


def test_the_exceptions_are_few_and_reasoned() -> None:
    assert len(_exceptions()) <= 3
    assert all(len(reason.split()) >= 15 for reason in _exceptions().values())


def test_no_exception_is_about_privilege(scanned: list[Verdict]) -> None:
    """What a check is about, it says itself, in its title."""
    titles = {v.check: v.title for v in scanned}
    about = {
        check: sorted(set(titles[check].lower().replace("/", " ").split()) & _FORBIDDEN_WORDS)
        for check in _exceptions()
    }

    assert about == {check: [] for check in _exceptions()}


def test_trivy_itself_takes_the_exceptions(minimal: Release, tmp_path: Path) -> None:
    folder = tmp_path / "excepted"
    folder.mkdir()
    write_manifests(folder, "minimal", minimal.objects)

    verdicts = scan(folder, ignore_file=EXCEPTIONS)

    assert [f"{v.check} {v.target}" for v in verdicts if not v.passed] == []
