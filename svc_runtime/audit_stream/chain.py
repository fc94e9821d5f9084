"""The format of a chain of audited lines, for whoever writes it and whoever verifies it."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from typing import Final

NO_LINE: Final = "0" * 64
"""What the first line holds in place of a hash."""
CHECKPOINT: Final = "audit_checkpoint"
"""Event of a line that holds a signature."""
CLOSING: Final = "audit_stream_closed"
"""Event of the last line but its checkpoint's."""
LINES_LOST: Final = "audit_lines_lost"
"""Event of a line that tells how many lines never came to be."""
SIGNING_KEY_PREFIX: Final = "audit-"
"""A service's transit key is this and the service's name."""

_FORMAT: Final = "keyturn-audit-v1"
_ID_BYTES: Final = 8
_ATTESTED_DIGITS: Final = 16  # of the head's hash, so that the request id has 64 characters at most
_REQUEST_ID: Final = re.compile(
    r"chain\.(?P<chain>(?P<service>[a-z][a-z-]{0,23})-[0-9a-f]{16})"
    r"\.(?P<seq>[1-9][0-9]{0,14})\.(?P<digits>[0-9a-f]{16})"
)


@dataclass(frozen=True, slots=True)
class Head:
    """How far a chain has come.

    Attributes:
        chain: Its id.
        seq: Number of its last line, from 1; 0 before the first.
        digest: SHA-256 of that line without its newline, in hexadecimal.
    """

    chain: str
    seq: int
    digest: str

    def message(self) -> bytes:
        """Return what a checkpoint signs."""
        return f"{_FORMAT}\n{self.chain}\n{self.seq}\n{self.digest}".encode()

    def request_id(self) -> str:
        """Return the id under which the signature is asked for.

        Vault's audit log keeps it as it is. So the log attests how long the chain was and, by the
        first digits of the hash, what stood in it.
        """
        return f"chain.{self.chain}.{self.seq}.{self.digest[:_ATTESTED_DIGITS]}"


@dataclass(frozen=True, slots=True)
class Attestation:
    """What the request id of a signature says.

    Attributes:
        digits: The first of the head's hash.
    """

    service: str
    chain: str
    seq: int
    digits: str


def parse_request_id(request_id: str) -> Attestation | None:
    """Return what *request_id* attests, None when it is not that of a signature."""
    found = _REQUEST_ID.fullmatch(request_id)
    if found is None:
        return None
    return Attestation(found["service"], found["chain"], int(found["seq"]), found["digits"])


def digest_of(line: bytes) -> str:
    """Return the hash of *line*, which is without its newline, in hexadecimal."""
    return hashlib.sha256(line).hexdigest()


class Chain:
    """A chain that grows. Not safe for threads."""

    def __init__(self, service: str) -> None:
        """Begin a chain of *service* with an id of its own."""
        self.head = Head(f"{service}-{secrets.token_hex(_ID_BYTES)}", 0, NO_LINE)

    def link(self, line: str) -> bytes:
        """Return *line*, a JSON object, as the chain's next line, with its newline."""
        head = self.head
        seq = head.seq + 1
        linked = (
            f'{line[:-1]}, "chain": "{head.chain}", "seq": {seq}, "prev": "{head.digest}"}}'
        ).encode()
        self.head = Head(head.chain, seq, digest_of(linked))
        return linked + b"\n"
