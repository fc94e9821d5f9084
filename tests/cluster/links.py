"""The wires between the nodes of a cluster, and to them: TCP that can be cut without a word.

Every node is reached through a port of ours, by its peers and by its clients. A cut wire carries
nothing and says nothing, as a network does that loses every packet; once it is mended, what was
held back goes on, as TCP would send it again.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

_ROOT = Path(__file__).parents[2]


class Links:
    """Ports that lead to nodes, in a process of their own.

    Elections wait for them: in a thread, they would wait for all that a test does besides.
    """

    def __init__(self, pid_files: Mapping[str, Path]) -> None:
        """Prepare.

        Args:
            pid_files: Tells which process is which node, so that a connection's sender is known.
        """
        nodes = [part for node, file in pid_files.items() for part in (node, str(file))]
        self._command = [sys.executable, "-m", "tests.cluster.wires", *nodes]
        self._process: subprocess.Popen[bytes]

    def start(self, ways: Mapping[int, tuple[str, int]]) -> None:
        """Listen on each port of *ways*, and lead it to a node's own port."""
        self._process = subprocess.Popen(
            self._command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._tell("listen", *([port, *way] for port, way in ways.items()))

    def stop(self) -> None:
        """Close everything."""
        self._process.communicate(timeout=10)

    def cut(self, node: str, *, is_for_clients: bool = True) -> None:
        """Let nothing through to *node* or from it; clients only get through if not for them."""
        self._tell("cut", node, is_for_clients)

    def mend(self, node: str) -> None:
        """Let everything through to *node* and from it."""
        self._tell("mend", node)

    def _tell(self, *command: object) -> None:
        """Have *command* done."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == b"\n"
