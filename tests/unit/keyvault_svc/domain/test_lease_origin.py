from __future__ import annotations

import json
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis.strategies import ip_addresses

from keyvault_svc.domain.lease_origin import LeaseOrigin, network_of
from keyvault_svc.domain.limit_store import MAX_NOTE
from svc_runtime.spiffe_id import SpiffeId

ORIGIN = LeaseOrigin(
    "openai",
    "0" * 16,
    "spiffe://example.org/app/billing",
    "",
    "10.1.2.0/24",
    "gpt-4o",
    100,
    0,
    1250,
)
# The longest of each that Keyturn takes.
APP = str(SpiffeId.parse("spiffe://example.org/".ljust(2048, "a")))
LONGEST = LeaseOrigin(
    "k" * 63,
    "f" * 16,
    APP,
    "\U0001f511" * 256,
    str(network_of(ip_address("ffff:ffff:ffff::"))),
    '"' * 256,
    10**12,
    10**12,
    2**48,
)


@pytest.mark.parametrize("origin", [ORIGIN, LONGEST], ids=["usual", "longest"])
def test_an_origin_comes_back_as_it_was_kept_and_fits_a_note(origin: LeaseOrigin) -> None:
    encoded = origin.encode()

    assert LeaseOrigin.decode(encoded) == origin
    assert len(encoded) <= MAX_NOTE


def test_what_a_later_release_adds_does_not_count() -> None:
    later = {**json.loads(ORIGIN.encode()), "added": "later"}

    assert LeaseOrigin.decode(json.dumps(later)) == ORIGIN


@pytest.mark.parametrize(
    ("source", "network"),
    [
        ("192.0.2.255", "192.0.2.0/24"),
        ("192.0.2.0", "192.0.2.0/24"),
        ("2001:db8:1:ffff::1", "2001:db8:1::/48"),
        ("::1", "::/48"),
    ],
)
def test_a_network_is_what_one_site_usually_has(source: str, network: str) -> None:
    assert network_of(ip_address(source)) == network


@given(source=ip_addresses())
def test_a_network_is_spelt_as_the_standard_library_does(
    source: IPv4Address | IPv6Address,
) -> None:
    prefix = 24 if source.version == 4 else 48
    assert network_of(source) == str(ip_network((source, prefix), strict=False))
