"""What values may let through the network, and what stops the installation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest

from tests.chart.chart_engines import ChartRefusedError, combination_values, render_with_helm4
from tests.chart.releases import Release

_ARROW = "keyturn/arrow"
_HOST = "203.0.113.7/32"


def _rule(cidr: str) -> dict[str, Any]:
    return {"peers": [{"ipBlock": {"cidr": cidr}}], "ports": [8200]}


def _render(policies: Mapping[str, Any]) -> Release:
    values = {**combination_values("minimal"), "networkPolicy": policies}
    return Release("minimal", values, render_with_helm4(values))


def _ways_out(release: Release, arrow: str) -> list[Any]:
    [policy] = [
        item
        for item in release.of_kind("NetworkPolicy")
        if item["metadata"]["labels"].get(_ARROW) == arrow
    ]
    return [peer for rule in policy["spec"]["egress"] for peer in rule["to"]]


@pytest.mark.parametrize("setting", ["vault", "peopleIssuer", "limitStore", "receivers", "dns"])
@pytest.mark.parametrize(
    "cidr", ["0.0.0.0/0", "::/0", "8.8.8.0/24", "2000::/3", "10.0.0.0/7", "172.16.0.0/11", _HOST]
)
def test_nothing_public_is_let_through_but_for_openai(setting: str, cidr: str) -> None:
    rule = _rule(cidr)
    given = {"peers": rule["peers"]} if setting == "dns" else [rule]

    with pytest.raises(ChartRefusedError, match=f"networkPolicy.{setting}.*reaches the internet"):
        _render({setting: given})


@pytest.mark.parametrize("cidr", ["169.254.169.254/32", "127.0.0.1/32", "fd00:ec2::254/128"])
@pytest.mark.parametrize("named_again", [(), ("publicHosts",)])
def test_no_metadata_service_is_let_through(cidr: str, named_again: tuple[str, ...]) -> None:
    policies = {"receivers": [_rule(cidr)], **{name: [cidr] for name in named_again}}

    with pytest.raises(ChartRefusedError, match="are nobody's peers"):
        _render(policies)


@pytest.mark.parametrize("cidr", ["0.0.0.0/0", "::/0", "64.0.0.0/2", "169.254.0.0/16"])
def test_networks_of_openai_that_would_hold_everything_are_refused(cidr: str) -> None:
    with pytest.raises(ChartRefusedError, match=re.escape("networkPolicy.openai.cidrs")):
        _render({"openai": {"cidrs": [cidr]}})


@pytest.mark.parametrize("cidr", ["10.0.0.0/8", "172.31.0.0/16", "fd12::/48", "10.1.2.3/32"])
def test_private_networks_are_let_through(cidr: str) -> None:
    release = _render({"vault": [_rule(cidr)]})

    assert _ways_out(release, "keyvault-vault") == [{"ipBlock": {"cidr": cidr}}]


@pytest.mark.parametrize(
    ("address", "port"), [("https://10.1.2.3", 443), ("https://10.1.2.3:8", 8)]
)
def test_an_address_without_a_port_is_reached_at_that_of_https(address: str, port: int) -> None:
    values = {**combination_values("minimal"), "vault": {"address": address}}
    release = Release("minimal", values, render_with_helm4(values))

    [policy] = [
        item
        for item in release.of_kind("NetworkPolicy")
        if item["metadata"]["labels"].get(_ARROW) == "keyvault-vault"
    ]
    [rule] = policy["spec"]["egress"]
    assert rule["ports"] == [{"protocol": "TCP", "port": port}]


@pytest.mark.parametrize("cidr", ["8.8.8.8/32", "2001:db8::/32", "2600:1900::/28"])
def test_public_addresses_of_ones_own_are_kept_from_the_gateway(cidr: str) -> None:
    release = _render({"openai": {"except": [cidr]}})

    blocks = [peer["ipBlock"] for peer in _ways_out(release, "gateway-openai")]
    assert [cidr in block["except"] for block in blocks] == [":" not in cidr, ":" in cidr]


def test_a_dns_cache_on_the_node_is_let_through() -> None:
    cache = {"ipBlock": {"cidr": "169.254.20.10/32"}}

    assert _ways_out(_render({"dns": {"peers": [cache]}}), "keyvault-dns") == [cache]


def test_a_public_host_of_ones_own_is_let_through_where_it_is_named_twice() -> None:
    release = _render({"vault": [_rule(_HOST)], "publicHosts": [_HOST]})

    assert _ways_out(release, "keyvault-vault") == [{"ipBlock": {"cidr": _HOST}}]


def test_a_policy_says_which_public_hosts_it_lets_through() -> None:
    release = _render({"vault": [_rule(_HOST)], "publicHosts": [_HOST, "203.0.113.8/32"]})

    said = {
        item["metadata"]["labels"].get(_ARROW): hosts
        for item in release.of_kind("NetworkPolicy")
        if (hosts := item["metadata"]["annotations"].get("keyturn/public-hosts"))
    }

    assert said == dict.fromkeys(
        ["gateway-vault", "keyvault-vault", "bootstrap-vault", "rewrap-vault"], _HOST
    )


def test_with_ciliums_policies_no_other_lets_the_gateway_ask_dns_or_openai() -> None:
    release = _render({"cilium": {"enabled": True}})

    kinds = {(o["kind"], o["metadata"]["labels"].get(_ARROW)) for o in release.objects}
    assert ("CiliumNetworkPolicy", "gateway-openai") in kinds
    assert not {("NetworkPolicy", "gateway-openai"), ("NetworkPolicy", "gateway-dns")} & kinds
