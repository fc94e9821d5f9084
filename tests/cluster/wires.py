"""The program that carries what goes between nodes, and to them; `links.Links` runs it.

It takes commands as lines of JSON on its standard input, and answers each with an empty line once
it is done: the wires to listen on, as `[port, node, inner port]`, then nodes to cut off and to
mend. It ends when its input does. Arguments are pairs of a node and the pid file of its process.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path

from keyturn_cli.local.pid_file import read_pid_file

_CHUNK = 64 * 1024
_CLIENT = ""  # the sender of a connection that is no node's


class Wires:
    """Ports that lead to nodes."""

    def __init__(self, pid_files: Mapping[str, Path]) -> None:
        """Prepare.

        Args:
            pid_files: Tells which process is which node, so that a connection's sender is known.
        """
        self._pid_files = pid_files
        self._cut: dict[str, bool] = {}
        self._changed = asyncio.Event()

    async def listen(self, ways: Iterable[tuple[int, str, int]]) -> None:
        """Listen on each way's port, and lead it to a node's own."""
        for port, node, inner_port in ways:
            carry = partial(self._carry, node=node, inner_port=inner_port)
            await asyncio.start_server(carry, "127.0.0.1", port)

    def cut(self, node: str, *, is_for_clients: bool) -> None:
        """Let nothing through to *node* or from it; clients only get through if not for them."""
        self._cut[node] = is_for_clients

    def mend(self, node: str) -> None:
        """Let everything through to *node* and from it."""
        self._cut.pop(node, None)
        self._changed.set()
        self._changed = asyncio.Event()

    async def _carry(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        node: str,
        inner_port: int,
    ) -> None:
        """Carry one connection, for as long as both ends want it."""
        ports = (writer.get_extra_info(name)[1] for name in ("peername", "sockname"))
        ends = {node, self._sender(*ports)}
        there: asyncio.StreamWriter | None = None
        try:
            await self._open_wire(ends)
            answers, there = await asyncio.open_connection("127.0.0.1", inner_port)
            await asyncio.gather(self._pump(reader, there, ends), self._pump(answers, writer, ends))
        except OSError:
            pass  # an end has gone, or is not there: the other is told below
        finally:
            for end in (writer, there):
                if end is not None:
                    with contextlib.suppress(OSError):
                        end.close()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, ends: set[str]
    ) -> None:
        while data := await reader.read(_CHUNK):
            await self._open_wire(ends)
            writer.write(data)
            await writer.drain()
        await self._open_wire(ends)
        writer.close()

    async def _open_wire(self, ends: set[str]) -> None:
        while self._is_cut(ends):
            await self._changed.wait()

    def _is_cut(self, ends: set[str]) -> bool:
        is_client = _CLIENT in ends
        return any(self._cut[node] or not is_client for node in ends & self._cut.keys())

    def _sender(self, port: int, our_port: int) -> str:
        """Return which node has the connection from *port* to *our_port*; `_CLIENT` for none."""
        inode = _inode_of(port, our_port)
        if inode is None:
            return _CLIENT
        for node, pid_file in self._pid_files.items():
            if (process := read_pid_file(pid_file)) is None:
                continue
            folder = Path(f"/proc/{process.pid}/fd")
            with contextlib.suppress(OSError):
                for entry in folder.iterdir():
                    with contextlib.suppress(OSError):
                        if str(entry.readlink()) == f"socket:[{inode}]":
                            return node
        return _CLIENT


def _inode_of(port: int, peer_port: int) -> str | None:
    """Return the inode of the socket at *port* that is connected to *peer_port* (proc(5)).

    Both are ports of 127.0.0.1. A port can have several connections, to different peers.
    """
    wanted = [f"0100007F:{number:04X}" for number in (port, peer_port)]
    for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        fields = line.split()
        if fields[1:3] == wanted and fields[9] != "0":
            return fields[9]
    return None


async def _main(arguments: list[str]) -> None:
    wires = Wires(dict(zip(arguments[::2], map(Path, arguments[1::2]), strict=True)))
    commands = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(commands), sys.stdin
    )
    while line := await commands.readline():
        command, *details = json.loads(line)
        match command:
            case "listen":
                await wires.listen(details)
            case "cut":
                wires.cut(details[0], is_for_clients=details[1])
            case "mend":
                wires.mend(details[0])
            case _:
                raise ValueError(command)
        sys.stdout.write("\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1:]))
