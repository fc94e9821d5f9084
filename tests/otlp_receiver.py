"""A receiver of OTLP over gRPC and TLS, as a collector is: a real one, in this process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as trace_pb
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)
from opentelemetry.proto.trace.v1 import trace_pb2

from tests.certs import Authority

_WAIT_SECONDS = 15.0


@dataclass(frozen=True)
class ReceivedSpan:
    """One span, as it came over the wire.

    Attributes:
        service: Name of the process.
        parent: Id of the span above; empty for the first.
        kind: Such as `SPAN_KIND_CLIENT`.
        error: `error.type`; empty where nothing failed.
        links: Ids of the spans that it is linked with.
        wire: All of it, to be searched.
    """

    service: str
    name: str
    trace: str
    span: str
    parent: str
    kind: str
    attributes: dict[str, Any]
    events: list[str]
    links: list[str]
    is_failed: bool
    wire: bytes = field(repr=False)

    @property
    def error(self) -> str:
        return str(self.attributes.get("error.type", ""))


class OTLPReceiver(TraceServiceServicer):
    """Keeps every span that comes.

    Attributes:
        endpoint: Where it listens.
        ca_file: What a sender must trust.
        arrived: Set once a request has come that finds the receiver hanging.
    """

    def __init__(self, endpoint: str, ca_file: Path, *, hangs: bool) -> None:
        self.endpoint = endpoint
        self.ca_file = ca_file
        self.arrived = threading.Event()
        self._let_go = threading.Event()
        if not hangs:
            self._let_go.set()
        self._held: list[grpc.ServicerContext] = []
        self._spans: list[ReceivedSpan] = []
        self._changed = threading.Condition()

    def Export(  # noqa: N802  # fixed by the proto
        self, request: trace_pb.ExportTraceServiceRequest, context: grpc.ServicerContext
    ) -> trace_pb.ExportTraceServiceResponse:
        if not self._let_go.is_set():
            self._held.append(context)
            self.arrived.set()
            self._let_go.wait()
        with self._changed:
            self._spans += _spans_in(request)
            self._changed.notify_all()
        return trace_pb.ExportTraceServiceResponse()

    @property
    def is_waited_for(self) -> bool:
        """Whether a sender still waits for the answer to the first request that was held."""
        return self._held[0].is_active()

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """Answer nothing inside."""
        self._let_go.clear()
        try:
            yield
        finally:
            self.answer()

    def answer(self) -> None:
        """Answer what is held, and all that follows."""
        self._let_go.set()

    @property
    def spans(self) -> list[ReceivedSpan]:
        """All that have come so far."""
        with self._changed:
            return list(self._spans)

    def wait_for(self, is_enough: Callable[[Sequence[ReceivedSpan]], bool]) -> list[ReceivedSpan]:
        """Return the spans as soon as they are enough; after 15 s whatever has come."""
        with self._changed:
            self._changed.wait_for(lambda: is_enough(self._spans), _WAIT_SECONDS)
            return list(self._spans)


@contextmanager
def receiving(folder: Path, *, hangs: bool = False) -> Iterator[OTLPReceiver]:
    """Receive; one that *hangs* answers nothing."""
    authority = Authority("collector CA")
    pair = authority.issue(dns=["localhost"])
    ca_file = folder / "collector-ca.pem"
    ca_file.write_bytes(authority.pem)
    server = grpc.server(ThreadPoolExecutor(max_workers=4))
    credentials = grpc.ssl_server_credentials([(pair.key, pair.certificate)])
    port = server.add_secure_port("127.0.0.1:0", credentials)
    receiver = OTLPReceiver(f"https://127.0.0.1:{port}", ca_file, hangs=hangs)
    add_TraceServiceServicer_to_server(receiver, server)  # type: ignore[no-untyped-call]  # generated without types
    server.start()
    try:
        yield receiver
    finally:
        receiver.answer()
        server.stop(None).wait()


def _spans_in(request: trace_pb.ExportTraceServiceRequest) -> Iterator[ReceivedSpan]:
    for resource in request.resource_spans:
        about = _attributes(resource.resource.attributes)
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield ReceivedSpan(
                    str(about["service.name"]),
                    span.name,
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    span.parent_span_id.hex(),
                    trace_pb2.Span.SpanKind.Name(span.kind),
                    _attributes(span.attributes),
                    [event.name for event in span.events],
                    [link.span_id.hex() for link in span.links],
                    span.status.code == trace_pb2.Status.STATUS_CODE_ERROR,
                    span.SerializeToString(),
                )


def _attributes(pairs: Any) -> dict[str, Any]:  # noqa: ANN401  # a repeated field
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: Any) -> Any:  # noqa: ANN401  # any attribute's
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    return getattr(value, kind)
