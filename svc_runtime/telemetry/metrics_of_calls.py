"""The metrics of calls that a service serves."""

from __future__ import annotations

from typing import Final

import grpc

from svc_runtime.telemetry.metrics import CALL_SECONDS, Counter, Histogram, Label

# Refusals that no error class stands for.
_MORE_REASONS: Final = ("INTERNAL", "METHOD_UNKNOWN", "REQUEST_NOT_RECEIVED")

RPC_METHOD: Final = Label("rpc.method")
RPC_CODE: Final = Label("rpc.response.status_code", (code.name for code in grpc.StatusCode))
REASON: Final = Label("reason", _MORE_REASONS)

RPC_DURATION: Final = Histogram(
    "rpc.server.call.duration",
    "How long gRPC calls of this service took.",
    RPC_METHOD,
    RPC_CODE,
    buckets=CALL_SECONDS,
)
REFUSALS: Final = Counter(
    "keyturn.refusals", "Calls that this service refused or could not serve.", REASON
)
