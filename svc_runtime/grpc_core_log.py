"""Silence for gRPC's core, which writes lines of its own form to standard error."""

from __future__ import annotations

import os


def silence_grpc_core() -> None:
    """Let gRPC's core write nothing, unless the environment asks for it.

    To be called before `grpc` is imported: that is when its core reads this, and from nowhere else.
    Its lines would stand among the log's, which are JSON, and any stranger who begins a TLS
    handshake can cause them. An operator who has to hear them sets `GRPC_VERBOSITY=ERROR`.
    """
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # noqa: TID251 - see above
