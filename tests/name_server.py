"""A DNS server that knows one kind of answer: the addresses that a name has at this moment."""

from __future__ import annotations

import asyncio
import struct
from collections import Counter
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address
from typing import Final, Self

_HEADER: Final = struct.Struct("!HHHHHH")
_ANSWERED: Final = 0x8180  # a response, recursion asked for and available, no error
_TYPE_A: Final = 1
_CLASS_IN: Final = 1
_POINTER_TO_NAME: Final = 0xC00C  # the name in the question, right after the header


class NameServer(asyncio.DatagramProtocol):
    """Answers queries for A records by asking *addresses_of* each time; others have no records.

    Attributes:
        port: Where it listens, UDP on 127.0.0.1.
        asked: How often each name was asked for.
    """

    def __init__(self, addresses_of: Callable[[str], Sequence[str]]) -> None:
        self.port = 0
        self.asked: Counter[str] = Counter()
        self._addresses_of = addresses_of
        self._transport: asyncio.DatagramTransport | None = None

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(
            lambda: self, local_addr=("127.0.0.1", 0)
        )
        self.port = self._transport.get_extra_info("sockname")[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._transport is not None
        self._transport.close()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        assert self._transport is not None
        query_id, *_ = _HEADER.unpack_from(data)
        name, end = _name_at(data, _HEADER.size)
        kind, _ = struct.unpack_from("!HH", data, end)
        addresses = self._addresses_of(name) if kind == _TYPE_A else ()
        if kind == _TYPE_A:
            self.asked[name] += 1
        answer = _HEADER.pack(query_id, _ANSWERED, 1, len(addresses), 0, 0)
        answer += data[_HEADER.size : end + 4]
        for address in addresses:
            answer += struct.pack("!HHHIH", _POINTER_TO_NAME, _TYPE_A, _CLASS_IN, 0, 4)
            answer += IPv4Address(address).packed
        self._transport.sendto(answer, addr)


def _name_at(message: bytes, offset: int) -> tuple[str, int]:
    """Return the name that begins at *offset*, and where it ends."""
    labels = []
    while length := message[offset]:
        labels.append(message[offset + 1 : offset + 1 + length].decode("ascii").lower())
        offset += 1 + length
    return ".".join(labels), offset + 1
