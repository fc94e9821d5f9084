"""TLS before a server that has none, and that server: `tls_front PORT BEHIND FOLDER COMMAND...`.

COMMAND listens on port BEHIND of loopback; FOLDER has the certificate.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import sys
from pathlib import Path

from keyturn_cli.local import die_with_parent


async def _main(port: int, behind: int, folder: Path, command: list[str]) -> int:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(folder / "tls.crt", folder / "tls.key")

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.ExitStack() as closing:
            closing.callback(writer.close)
            with contextlib.suppress(OSError):
                far_reader, far_writer = await asyncio.open_connection("127.0.0.1", behind)
                closing.callback(far_writer.close)
                both = {
                    asyncio.create_task(_pump(reader, far_writer)),
                    asyncio.create_task(_pump(far_reader, writer)),
                }
                # TLS cannot end one way alone, so the first end is that of both.
                _, other = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
                for task in other:
                    task.cancel()

    # Killed with this process, whatever ends it.
    launcher = [sys.executable, "-I", "-S", die_with_parent.__file__, str(os.getpid())]
    server = await asyncio.create_subprocess_exec(*launcher, *command)
    async with await asyncio.start_server(relay, "0.0.0.0", port, ssl=tls):  # noqa: S104 - of its pod
        return await server.wait()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()


if __name__ == "__main__":
    numbers = (int(sys.argv[1]), int(sys.argv[2]))
    sys.exit(asyncio.run(_main(*numbers, Path(sys.argv[3]), sys.argv[4:])))
