"""The pod that answers for names: `names FILE`, where FILE is JSON, addresses by name.

The file is read at each question, so that whoever writes it decides at once.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from tests.name_server import NameServer

_PORT = 53


class _Answers(NameServer):
    """The server of the tests, on the port and on every address of its pod."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # The event loop's own transport is none by inheritance.
        self._transport = cast("asyncio.DatagramTransport", transport)


async def _serve(file: Path) -> None:
    def addresses_of(name: str) -> Sequence[str]:
        found: Sequence[str] = json.loads(file.read_text(encoding="utf-8")).get(name, ())
        return found

    await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: _Answers(addresses_of),
        local_addr=("0.0.0.0", _PORT),  # noqa: S104 - of its pod
    )
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))
