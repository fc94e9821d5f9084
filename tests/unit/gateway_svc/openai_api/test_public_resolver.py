"""Which addresses of an upstream host are used."""

from __future__ import annotations

import socket

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from gateway_svc.openai_api.public_resolver import PublicResolver, is_public


class _Names(AbstractResolver):
    """Resolves every name to the same addresses."""

    def __init__(self, *addresses: str) -> None:
        self._addresses = addresses
        self.is_closed = False

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=0)
            for address in self._addresses
        ]

    async def close(self) -> None:
        self.is_closed = True


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "104.18.6.192", "2606:4700::6812:6c0", "::ffff:8.8.8.8", "64:ff9b::808:808"],
)
def test_an_address_on_the_internet_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",  # noqa: S104 - looked at, not listened on
        "10.1.2.3",
        "100.64.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "192.168.1.1",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:10.1.2.3",
        "::ffff:169.254.169.254",
        "64:ff9b::a00:1",
        "64:ff9b::a9fe:a9fe",
        "2002:a00:1::",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "ff02::1",
    ],
)
def test_an_address_inside_is_not_public(address: str) -> None:
    assert not is_public(address)


async def test_of_several_addresses_the_public_ones_are_used() -> None:
    resolver = PublicResolver(_Names("10.0.0.1", "8.8.8.8", "169.254.169.254", "1.1.1.1"))

    found = await resolver.resolve("openai.example", 443)

    assert [(result["host"], result["port"]) for result in found] == [
        ("8.8.8.8", 443),
        ("1.1.1.1", 443),
    ]


async def test_a_name_that_leads_inside_only_cannot_be_reached() -> None:
    resolver = PublicResolver(_Names("10.0.0.1", "::1"))

    with pytest.raises(OSError, match="no public address"):
        await resolver.resolve("openai.example", 443)


async def test_it_closes_what_is_behind_it() -> None:
    names = _Names()
    await PublicResolver(names).close()

    assert names.is_closed
