"""The span of an HTTP request, over real connections."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.trace import SpanKind, format_trace_id

from gateway_svc.domain.errors import KeyServiceUnavailableError, NotGrantedError
from tests.span_tape import taping

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = b"traceparent: 00-%s-b7ad6b7169203331-01\r\n" % TRACE.encode()


def _get(path: bytes, more: bytes = b"") -> bytes:
    return b"GET " + path + b" HTTP/1.1\r\nhost: localhost\r\n" + more + b"\r\n"


async def _ask(site: Any, sent: bytes) -> None:  # noqa: ANN401 - the fixture's
    """Send a request, and return once its span has ended."""
    async with site.connected(sent) as (reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        # On one connection the next request is served when the one before has ended.
        writer.write(_get(b"/nowhere"))
        await reader.readuntil(b"HTTP/1.1 404")


async def test_a_request_is_a_child_of_the_apps_span_and_named_by_its_route(
    serving: Callable[..., Any],
) -> None:
    with taping() as tape:
        async with serving() as site:
            await _ask(site, _get(b"/v1/models?secret=query", PARENT))
        span = tape.spans[0]

    about: dict[str, Any] = dict(span.attributes or {})
    assert (span.kind, span.name) == (SpanKind.SERVER, "GET /v1/models")
    assert span.context is not None
    assert format_trace_id(span.context.trace_id) == TRACE
    assert len(about.pop("keyturn.request_id")) == 32
    assert about == {
        "http.request.method": "GET",
        "http.route": "/v1/models",
        "http.response.status_code": 200,
        "url.scheme": "https",
        "keyturn.lease_id": "0" * 32,
    }


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (b"/v1/files/file-secret", "GET /v1/files/*"),
        (b"/v1/made-up/by-an-app", "GET other"),
        (b"/elsewhere", "GET other"),
    ],
)
async def test_no_name_of_an_apps_making_becomes_a_spans(
    serving: Callable[..., Any], path: bytes, name: str
) -> None:
    with taping() as tape:
        async with serving() as site:
            await _ask(site, _get(path))
        span = tape.spans[0]

    assert span.name == name
    assert path.decode() not in span.to_json()


async def test_a_refusal_says_why_and_is_no_fault(serving: Callable[..., Any]) -> None:
    with taping() as tape:
        async with serving(lease=NotGrantedError()) as site:
            await _ask(site, _get(b"/v1/models"))
        span = tape.spans[0]

    about = span.attributes or {}
    assert about["http.response.status_code"] == 403
    assert about["keyturn.reason"] == NotGrantedError.reason
    assert "error.type" not in about


async def test_an_outage_is_a_fault_and_says_which(serving: Callable[..., Any]) -> None:
    with taping() as tape:
        async with serving(lease=KeyServiceUnavailableError()) as site:
            await _ask(site, _get(b"/v1/models"))
        span = tape.spans[0]

    assert (span.attributes or {})["error.type"] == KeyServiceUnavailableError.reason


@pytest.mark.parametrize("value", [b"nonsense", b"00-0-0-01", b"x" * 4000])
async def test_a_malformed_context_changes_nothing(
    serving: Callable[..., Any], value: bytes
) -> None:
    with taping() as tape:
        async with serving() as site:
            await _ask(site, _get(b"/v1/models", b"traceparent: " + value + b"\r\n"))
        span = tape.spans[0]

    assert span.parent is None
    assert (span.attributes or {})["http.response.status_code"] == 200


async def test_openai_sees_no_header_of_the_trace(serving: Callable[..., Any]) -> None:
    headers = PARENT + b"tracestate: vendor=a\r\nbaggage: owner=alice\r\n"
    with taping():
        async with serving() as site:
            await _ask(site, _get(b"/v1/models", headers))
            ((request, _),) = site.stage.upstream.sent

    assert {name for name, _ in request.headers} & {"traceparent", "tracestate", "baggage"} == set()
