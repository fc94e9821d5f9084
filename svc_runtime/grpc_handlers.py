"""What a gRPC server serves, added in the one way that is safe when the server breaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import grpc


def generic_only(server: grpc.aio.Server) -> grpc.aio.Server:
    """Return what generated code is to add its servicers to, in place of *server*.

    Generated code adds each method twice: to the generic handlers, and registered. For every
    registered method grpc.aio 1.85 keeps a request at gRPC's core, which names the memory that the
    next call is to be written to. A server that breaks frees this memory before it tells the core,
    which still writes there: into whatever object is there by then. So none is registered; generic
    handlers serve the same methods, and no request of theirs is open when a server breaks.
    """
    return cast("grpc.aio.Server", _GenericHandlers(server))


class _GenericHandlers:
    def __init__(self, server: grpc.aio.Server) -> None:
        self._server = server

    def add_generic_rpc_handlers(
        self, generic_rpc_handlers: Sequence[grpc.GenericRpcHandler]
    ) -> None:
        self._server.add_generic_rpc_handlers(generic_rpc_handlers)

    def add_registered_method_handlers(
        self, service_name: str, method_handlers: Mapping[str, grpc.RpcMethodHandler[Any, Any]]
    ) -> None:
        del service_name, method_handlers
