"""Where pods go, what they are started anew for, and what is told of their certificates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.chart.chart_engines import combination_values, render_with_helm4
from tests.chart.releases import Release

_NODES = {
    "priorityClassName": "platform",
    "nodeSelector": {"pool": "platform"},
    "tolerations": [{"key": "platform", "operator": "Exists"}],
    "affinity": {"podAntiAffinity": {}},
}
_MARKS = {"podLabels": {"team": "platform"}, "podAnnotations": {"mesh": "off"}}


def _render(values: Mapping[str, Any], combination: str = "minimal") -> Release:
    given = {**combination_values(combination), **values}
    return Release(combination, given, render_with_helm4(given))


def _template(release: Release, kind: str, component: str) -> dict[str, Any]:
    """Return the pod, or the template of it, of the one object of *kind* for *component*."""
    [item] = [
        item
        for item in release.of_kind(kind)
        if item["metadata"]["labels"]["app.kubernetes.io/component"] == component
    ]
    if kind == "Pod":
        return dict(item)
    spec = item["spec"]["jobTemplate"]["spec"] if kind == "CronJob" else item["spec"]
    return dict(spec["template"])


@pytest.mark.parametrize(
    ("value", "kind", "component"),
    [
        ("keyvault", "Deployment", "keyvault-svc"),
        ("gateway", "Deployment", "gateway-svc"),
        ("jobs", "CronJob", "rewrap"),
        ("bootstrap", "Job", "bootstrap"),
        ("bootstrap", "Pod", "test"),
    ],
)
def test_a_pod_goes_where_the_values_say_with_their_labels(
    value: str, kind: str, component: str
) -> None:
    template = _template(_render({value: {**_NODES, **_MARKS}}), kind, component)

    assert {name: template["spec"].get(name) for name in _NODES} == _NODES
    assert template["metadata"]["labels"].items() >= _MARKS["podLabels"].items()
    assert template["metadata"]["annotations"].items() >= _MARKS["podAnnotations"].items()


def test_a_spread_without_a_selector_counts_the_pods_of_its_service() -> None:
    spread = {"topologyKey": "zone", "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule"}
    release = _render({"gateway": {"topologySpreadConstraints": [spread]}})
    template = _template(release, "Deployment", "gateway-svc")

    [rendered] = template["spec"]["topologySpreadConstraints"]
    [deployment] = [
        item
        for item in release.of_kind("Deployment")
        if item["metadata"]["name"].endswith("gateway-svc")
    ]
    assert rendered == {**spread, "labelSelector": deployment["spec"]["selector"]}


def test_names_that_read_as_numbers_stay_texts() -> None:
    release = _render({"image": {"pullSecrets": ["123"]}, "gateway": {"priorityClassName": "4e5"}})
    pod = _template(release, "Deployment", "gateway-svc")["spec"]

    assert (pod["imagePullSecrets"], pod["priorityClassName"]) == ([{"name": "123"}], "4e5")


@pytest.mark.parametrize("component", ["keyvault-svc", "gateway-svc"])
def test_another_socket_of_spire_makes_other_pods(component: str) -> None:
    values = combination_values("spire")["certificates"]
    other = {**values, "spire": {**values["spire"], "socket": "agent.sock"}}

    before, after = (
        _template(_render({"certificates": given}, "spire"), "Deployment", component)
        for given in (values, other)
    )
    assert before["metadata"]["annotations"] != after["metadata"]["annotations"]


@pytest.mark.parametrize(
    ("combination", "certificates", "bound"),
    [
        ("minimal", {}, "4 * 3600"),
        ("minimal", {"certManager": {"duration": "2h", "renewBefore": "40m"}}, "1200"),
        ("spire", {}, "900"),
        ("hashicorp", {}, "4 * 3600"),
    ],
)
def test_a_certificate_that_is_replaced_in_time_alarms_nobody(
    combination: str, certificates: Mapping[str, Any], bound: str
) -> None:
    given = combination_values(combination).get("certificates", {})
    release = _render(
        {
            "certificates": {**given, **certificates},
            "metrics": {"prometheusRule": {"enabled": True}},
        },
        combination,
    )
    [rules] = release.of_kind("PrometheusRule")

    [told] = [
        rule["expr"]
        for group in rules["spec"]["groups"]
        for rule in group["rules"]
        if rule.get("alert") == "KeyturnCertificateExpiring"
    ]
    assert told == f"keyturn_certificate_expiry_seconds < {bound}"
