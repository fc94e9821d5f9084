"""Keeps standby nodes from answering reads with what was true a moment ago.

OpenBao from 2.5 on lets a standby answer reads itself, unless its operator forbids that
(`disable_standby_reads`), and a standby is behind the leader: a grant that was revoked would be
there for some milliseconds more. A client can say which state of the storage it must see, by an
index that OpenBao sends with every answer, and what is to be done by a node that has not seen it.
So this asks for a state that no node has seen: the leader, which has the latest there is, answers
as always, and a standby forwards the request to it. Tried with 2.7.2 on raft storage; see
docs/adr/0010-reads-by-the-leader.md.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Final

INDEX: Final = "X-Vault-Index"
_INCONSISTENT: Final = "X-Vault-Inconsistent"
_FORWARD: Final = "forward-active-node"
_NEVER_SEEN: Final = str(2**64 - 1)  # raft's largest
_MAX_CHARACTERS: Final = 1024  # of an index that is looked at


class ReadConsistency:
    """What to send along so that the leader answers; learnt from Vault's own answers.

    HashiCorp Vault's community edition sends no index, and its standbys forward every request.
    """

    def __init__(self) -> None:
        self._headers: Mapping[str, str] = {}
        self._observed: str | None = None

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers for the next request; none until an answer has told of the cluster."""
        return self._headers

    def observe(self, index: str | None) -> None:
        """Learn from the index of an answer; None for an answer without one."""
        if index == self._observed:  # the rule where nothing is written: it tells nothing new
            return
        self._observed = index
        cluster = _cluster_of(index) if index else None
        if cluster is None:
            return
        wanted = json.dumps({"cluster": cluster, "value": _NEVER_SEEN}, separators=(",", ":"))
        encoded = base64.b64encode(wanted.encode()).decode("ascii")
        if self._headers.get(INDEX) != encoded:
            self._headers = {INDEX: encoded, _INCONSISTENT: _FORWARD}


def _cluster_of(index: str) -> str | None:
    """Return the id of the cluster that *index* is of; None if it is no index of OpenBao's."""
    if len(index) > _MAX_CHARACTERS:
        return None
    try:
        parsed = json.loads(base64.b64decode(index, validate=True))
    except (binascii.Error, ValueError):
        return None
    cluster = parsed.get("cluster") if isinstance(parsed, dict) else None
    return cluster if isinstance(cluster, str) else None
