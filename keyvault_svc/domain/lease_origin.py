"""What a lease was given for, as the store of limits keeps it beside the reservation."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from ipaddress import IPv4Address, IPv6Address
from typing import Final, Self

_PREFIX: Final = {4: 24, 6: 48}  # what one site usually has: an address alone says too much


@dataclass(frozen=True, slots=True)
class LeaseOrigin:
    """Which grant a lease was given by, to which app, and where it called from.

    Attributes:
        member: The person who was present; empty for nobody.
        network: The network that the app called from, such as `192.0.2.0/24`.
        model: The model that the request named; empty for none.
        input_tokens: The most that the prompt could have; 0 for not bounded.
        output_tokens: The most that the answer could have; 0 for not bounded.
        micro_usd: The most that it could cost, in millionths of a USD; 0 where no limit counts it.
    """

    key_id: str
    grant_id: str
    app: str
    member: str
    network: str
    model: str
    input_tokens: int
    output_tokens: int
    micro_usd: int

    def encode(self) -> str:
        """Return it as text."""
        return json.dumps(asdict(self), ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def decode(cls, encoded: str) -> Self:
        """Return what `encode` made text of, in this release or a later one.

        What a later one added does not count. A field that a release adds needs a default, for
        leases that the one before has given.
        """
        known = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in json.loads(encoded).items() if name in known})


def network_of(source: IPv4Address | IPv6Address) -> str:
    """Return the network that *source* is told apart by."""
    prefix = _PREFIX[source.version]
    host_bits = source.max_prefixlen - prefix
    return f"{type(source)(int(source) >> host_bits << host_bits)}/{prefix}"
