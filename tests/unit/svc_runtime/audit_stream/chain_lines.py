"""What tests read of a chain."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from svc_runtime.audit_stream.chain import NO_LINE, digest_of


def parsed(data: bytes) -> list[dict[str, Any]]:
    """Return the lines of *data* as objects.

    Raises:
        AssertionError: The last line is cut off.
    """
    assert data.endswith(b"\n") or not data
    return [json.loads(line) for line in data.splitlines()]


def chained(data: bytes) -> list[dict[str, Any]]:
    """Return the lines of *data* that are chained, after a look at each link.

    Raises:
        AssertionError: A link is not right.
    """
    found: list[dict[str, Any]] = []
    before = NO_LINE
    for raw in data.splitlines():
        line = json.loads(raw)
        if "chain" not in line:
            continue
        assert (line["seq"], line["prev"]) == (len(found) + 1, before)
        before = digest_of(raw)
        found.append(line)
    assert len({line["chain"] for line in found}) <= 1
    return found


def chained_in(file: Path) -> list[dict[str, Any]]:
    """Return the chained lines of *file*; see `chained`."""
    return chained(file.read_bytes())
