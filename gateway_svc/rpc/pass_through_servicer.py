"""Serves PassThroughService."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from gateway_svc.domain.endpoint import Endpoint
from gateway_svc.domain.headers import may_pass_to_openai
from gateway_svc.domain.http_request import check_header_value, check_method, check_query
from gateway_svc.domain.relay import AppCall, Exchange, Relay
from gateway_svc.rpc.answers import read_whole
from gateway_svc.rpc.app_calls import AppCalls, relayed
from keyturn.gateway.v1 import pass_through_service_pb2 as pass_pb
from keyturn.gateway.v1.pass_through_service_pb2_grpc import PassThroughServiceServicer
from svc_runtime.authentication import ServicerContext
from svc_runtime.service_error import InvalidFieldError

_DEFAULT_CONTENT_TYPE: Final = ("content-type", "application/json")


class PassThroughServicer(PassThroughServiceServicer):
    """PassThroughService over `Relay`."""

    def __init__(self, relay: Relay, calls: AppCalls) -> None:
        self._relay = relay
        self._calls = calls

    async def Call(
        self, request: pass_pb.CallRequest, context: ServicerContext
    ) -> pass_pb.CallResponse:
        """Send one request and return the whole answer."""
        call = self._call(context, request.request)
        async with relayed(self._relay, context, call) as exchange:
            body = await read_whole(exchange)
        return pass_pb.CallResponse(head=_head(exchange), body=body)

    async def StreamCall(
        self, request: pass_pb.StreamCallRequest, context: ServicerContext
    ) -> AsyncIterator[pass_pb.StreamCallResponse]:
        """Send one request and return the answer as it comes."""
        call = self._call(context, request.request)
        async with relayed(self._relay, context, call) as exchange:
            yield pass_pb.StreamCallResponse(head=_head(exchange))
            async for piece in exchange.body():
                yield pass_pb.StreamCallResponse(body=piece)

    def _call(self, context: ServicerContext, request: pass_pb.UpstreamRequest) -> AppCall:
        headers = [_header(header) for header in request.headers]
        if len({name for name, _ in headers}) != len(headers):
            raise InvalidFieldError("request.headers", "must give each header once")
        if request.body and all(name != "content-type" for name, _ in headers):
            headers.append(_DEFAULT_CONTENT_TYPE)
        return self._calls.make(
            context,
            method=check_method(request.method, "request.method"),
            endpoint=Endpoint.parse(request.path, "request.path"),
            query=check_query(request.query, "request.query"),
            headers=tuple(headers),
            body=request.body,
        )


def _header(header: pass_pb.Header) -> tuple[str, str]:
    if not may_pass_to_openai(header.name):
        raise InvalidFieldError(
            "request.headers", "must name headers only that the gateway lets through"
        )
    return header.name.lower(), check_header_value(header.value, "request.headers")


def _head(exchange: Exchange) -> pass_pb.UpstreamHead:
    return pass_pb.UpstreamHead(
        status=exchange.status,
        headers=[pass_pb.Header(name=name, value=value) for name, value in exchange.headers],
    )
