"""A receiver of OTLP over gRPC and TLS that drops what it gets; `gateway_overhead.py` starts it."""

from __future__ import annotations

import argparse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc

_SERVICE = "opentelemetry.proto.collector.trace.v1.TraceService"


def _take(_request: bytes, _context: grpc.ServicerContext) -> bytes:
    """Return a success: a message without content."""
    return b""


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--certificate", type=Path, required=True)
    parser.add_argument("--key", type=Path, required=True)
    arguments = parser.parse_args()
    server = grpc.server(ThreadPoolExecutor(max_workers=2))
    handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(_take)
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler(_SERVICE, {"Export": handler})]
    )
    pair = (arguments.key.read_bytes(), arguments.certificate.read_bytes())
    server.add_secure_port(f"127.0.0.1:{arguments.port}", grpc.ssl_server_credentials([pair]))
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main()
