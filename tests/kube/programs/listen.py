"""Accepts connections and closes them: `listen PORT...`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable


def _close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def _main(ports: Iterable[int]) -> None:
    for port in ports:
        await asyncio.start_server(_close, "0.0.0.0", port)  # noqa: S104 - of its pod
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main(map(int, sys.argv[1:])))
