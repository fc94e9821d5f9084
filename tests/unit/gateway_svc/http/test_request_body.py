from __future__ import annotations

import asyncio

import pytest
from aiohttp import StreamReader
from aiohttp.base_protocol import BaseProtocol
from aiohttp.test_utils import make_mocked_request
from aiohttp.web import BaseRequest, RequestPayloadError

from gateway_svc.http.request_body import body_of
from svc_runtime.service_error import InvalidFieldError


async def test_a_body_whose_rest_is_malformed_is_refused_though_its_last_chunk_came_with_it() -> (
    None
):
    loop = asyncio.get_running_loop()
    request, content = _request()
    reading = asyncio.create_task(body_of(request, loop.time() + 60))
    content.begin_http_chunk_receiving()
    content.feed_data(b"{}")
    for _ in range(10):  # until it waits for more
        await asyncio.sleep(0)
    assert not reading.done()

    content.end_http_chunk_receiving()  # wakes the reader, before it runs:
    content.set_exception(RequestPayloadError())
    content.feed_eof()

    with pytest.raises(InvalidFieldError) as caught:
        await reading
    assert (caught.value.field, caught.value.rule) == (
        *("body", "must be framed as HTTP/1.1 demands"),
    )


async def test_a_body_that_ends_as_it_should_is_read_whole() -> None:
    request, content = _request()
    content.feed_data(b'{"a":')
    content.feed_data(b"1}")
    content.feed_eof()

    assert await body_of(request, asyncio.get_running_loop().time() + 60) == b'{"a":1}'


def _request() -> tuple[BaseRequest, StreamReader]:
    """Return a request on an open connection, and what its body is fed to."""
    loop = asyncio.get_running_loop()
    connection = BaseProtocol(loop)
    connection.connection_made(asyncio.Transport())
    content = StreamReader(connection, 65_536, loop=loop)
    return make_mocked_request("POST", "/v1/anything", payload=content), content
