"""Requests with two readings: the gateway takes none of them for anything but a fault."""

from __future__ import annotations

import secrets
import ssl
from contextlib import suppress

import pytest

from tests.fuzz.http_answers import answers_in
from tests.fuzz.target import Target

HOST = b"Host: gateway\r\n"
JSON = b"Content-Type: application/json\r\n"
SMUGGLED = b"POST /v1/anything/MARKER HTTP/1.1\r\nHost: gateway\r\nContent-Length: 0\r\n\r\n"


def _post(*lines: bytes, body: bytes) -> bytes:
    """Return a request that asks to close, whose framing is what *lines* say."""
    head = b"POST /v1/anything/outer HTTP/1.1\r\n" + HOST + JSON + b"Connection: close\r\n"
    return head + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body


CHUNKED = b"Transfer-Encoding: chunked"
FRAMING = {"content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer"}
END = b"0\r\n\r\n"


def _length(value: bytes) -> bytes:
    return b"Content-Length: " + value


def _chunks(body: bytes) -> bytes:
    return _post(CHUNKED, body=body)


REFUSED = {
    "two lengths": _post(
        _length(b"2"), _length(b"%d" % len(b"{}" + SMUGGLED)), body=b"{}" + SMUGGLED
    ),
    "two lengths, the larger first": _post(_length(b"70"), _length(b"2"), body=b"{}" + SMUGGLED),
    "two equal lengths": _post(_length(b"2"), _length(b"2"), body=b"{}"),
    "a list of lengths": _post(_length(b"2, 2"), body=b"{}"),
    "length and chunked": _post(_length(b"2"), CHUNKED, body=END + SMUGGLED),
    "chunked and length": _post(CHUNKED, _length(b"2"), body=END + SMUGGLED),
    "chunked twice": _post(b"Transfer-Encoding: chunked, chunked", body=END),
    "chunked in two headers": _post(CHUNKED, CHUNKED, body=END + SMUGGLED),
    "chunked, then identity": _post(CHUNKED, b"Transfer-Encoding: identity", body=END + SMUGGLED),
    "identity": _post(b"Transfer-Encoding: identity", _length(b"2"), body=b"{}" + SMUGGLED),
    "identity alone": _post(b"Transfer-Encoding: identity", body=b"{}"),
    "xchunked": _post(b"Transfer-Encoding: xchunked", _length(b"2"), body=b"{}" + SMUGGLED),
    "xchunked alone": _post(b"Transfer-Encoding: xchunked", body=END + SMUGGLED),
    "chunked, gzip": _post(b"Transfer-Encoding: chunked, gzip", body=END + SMUGGLED),
    "gzip, chunked": _post(b"Transfer-Encoding: gzip, chunked", body=END + SMUGGLED),
    "chunked in quotes": _post(b'Transfer-Encoding: "chunked"', body=END + SMUGGLED),
    "chunked with a parameter": _post(b"Transfer-Encoding: chunked;x=y", body=END + SMUGGLED),
    "chunked after a vertical tab": _post(b"Transfer-Encoding: \x0bchunked", body=END + SMUGGLED),
    "chunked after a null byte": _post(b"Transfer-Encoding: \x00chunked", body=END + SMUGGLED),
    "chunked before a null byte": _post(b"Transfer-Encoding: chunked\x00", body=END + SMUGGLED),
    "empty encoding": _post(b"Transfer-Encoding:", body=END + SMUGGLED),
    "empty encoding and length": _post(b"Transfer-Encoding:", _length(b"2"), body=b"{}" + SMUGGLED),
    "space before the colon": _post(b"Transfer-Encoding : chunked", body=END + SMUGGLED),
    "space before the length's colon": _post(b"Content-Length : 2", body=b"{}" + SMUGGLED),
    "tab before the colon": _post(b"Transfer-Encoding\t: chunked", body=END + SMUGGLED),
    "underscore": _post(_length(b"2"), b"Transfer-Encoding\x00: chunked", body=b"{}" + SMUGGLED),
    "no colon": _post(_length(b"2"), b"Transfer-Encoding chunked", body=b"{}" + SMUGGLED),
    "no name": _post(_length(b"2"), b": chunked", body=b"{}" + SMUGGLED),
    "folded": _post(_length(b"2"), b"Transfer-Encoding:\r\n chunked", body=b"{}" + SMUGGLED),
    "folded value": _post(_length(b"2"), b"X-A: a\r\n Transfer-Encoding: chunked", body=b"{}"),
    "folded with a tab": _post(_length(b"2"), b"X-A: a\r\n\tb", body=b"{}" + SMUGGLED),
    "first header folded": b"GET /v1/models HTTP/1.1\r\n X: y\r\n" + HOST + b"\r\n",
    "bare line feed": _post(_length(b"2"), b"X-A: a\nTransfer-Encoding: chunked", body=b"{}"),
    "bare line feeds": _post(_length(b"2"), body=b"{}").replace(b"\r\n", b"\n"),
    "bare carriage return": _post(_length(b"2"), b"X-A: a\rTransfer-Encoding: chunked", body=b"{}"),
    "bare carriage returns": _post(_length(b"2"), body=b"{}").replace(b"\r\n", b"\r") + b"\r\n\r\n",
    "two carriage returns": _post(_length(b"2"), b"X-A: a\r", body=b"{}" + SMUGGLED),
    "length with a plus": _post(_length(b"+2"), body=b"{}" + SMUGGLED),
    "length with a minus": _post(_length(b"-2"), body=b"{}" + SMUGGLED),
    "length in hex": _post(_length(b"0x2"), body=b"{}" + SMUGGLED),
    "length with an underscore": _post(_length(b"0_2"), body=b"{}" + SMUGGLED),
    "length with a point": _post(_length(b"2.0"), body=b"{}" + SMUGGLED),
    "length with an exponent": _post(_length(b"2e0"), body=b"{}" + SMUGGLED),
    "length of two numbers": _post(_length(b"2 2"), body=b"{}" + SMUGGLED),
    "length in other digits": _post(_length("\u0662".encode()), body=b"{}" + SMUGGLED),
    "empty length": _post(_length(b""), body=b"{}" + SMUGGLED),
    "length beyond 64 bits": _post(_length(b"18446744073709551618"), body=b"{}" + SMUGGLED),
    "length beyond 63 bits": _post(_length(b"9223372036854775810"), body=b"{}" + SMUGGLED),
    "chunk size in hex form": _chunks(b"0x2\r\n{}\r\n" + END),
    "chunk size with a plus": _chunks(b"+2\r\n{}\r\n" + END),
    "chunk size with a minus": _chunks(b"-2\r\n{}\r\n" + END),
    "chunk size after a space": _chunks(b" 2\r\n{}\r\n" + END),
    "chunk size before a space": _chunks(b"2 \r\n{}\r\n" + END),
    "chunk size with an underscore": _chunks(b"0_2\r\n{}\r\n" + END),
    "chunk size that is none": _chunks(b"zz\r\n{}\r\n" + END),
    "no chunk size": _chunks(b"\r\n{}\r\n" + END),
    "chunk size beyond 64 bits": _chunks(b"10000000000000002\r\n{}\r\n" + END),
    "chunk size and a line feed": _chunks(b"2\n{}\r\n" + END),
    "chunk size and a carriage return": _chunks(b"2\r{}\r\n" + END),
    "chunk and a line feed": _chunks(b"2\r\n{}\n" + END),
    "chunk longer than its size": _chunks(b"2\r\n{}x\r\n" + END),
    "chunk without a line break": _chunks(b"2\r\n{}" + END),
    "extension with a line feed": _chunks(b"2;x\n\r\n{}\r\n" + END),
    "extension with a carriage return": _chunks(b"2;x\ry\r\n{}\r\n" + END),
    "extension with a null byte": _chunks(b"2;x\x00\r\n{}\r\n" + END),
    "trailers that are framing": _chunks(
        b"2\r\n{}\r\n0\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n"
    ),
    "trailer with a line feed": _chunks(b"2\r\n{}\r\n0\r\nX: y\nZ: w\r\n\r\n"),
    "trailer with a space": _chunks(b"2\r\n{}\r\n0\r\nX : y\r\n\r\n"),
    "many trailers": _chunks(b"2\r\n{}\r\n0\r\n" + b"X: y\r\n" * 100_000 + b"\r\n"),
    "chunked with HTTP/1.0": _chunks(b"2\r\n{}\r\n" + END).replace(b"HTTP/1.1", b"HTTP/1.0"),
    "kept alive with HTTP/1.0": _chunks(b"2\r\n{}\r\n" + END + SMUGGLED)
    .replace(b"HTTP/1.1", b"HTTP/1.0", 1)
    .replace(b": close", b": keep-alive", 1),
    "no version": b"GET /v1/models\r\n\r\n",
    "version 0.9": b"GET /v1/models HTTP/0.9\r\n" + HOST + b"\r\n",
    "version 1.2": b"GET /v1/models HTTP/1.2\r\n" + HOST + b"\r\n",
    "version 2.0": b"GET /v1/models HTTP/2.0\r\n" + HOST + b"\r\n",
    "version 11": b"GET /v1/models HTTP/11\r\n" + HOST + b"\r\n",
    "version in small letters": b"GET /v1/models http/1.1\r\n" + HOST + b"\r\n",
    "preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "space in the path": b"GET /v1/models /v1/x HTTP/1.1\r\n" + HOST + b"\r\n",
    "tabs": b"GET\t/v1/models\tHTTP/1.1\r\n" + HOST + b"\r\n",
    "method with a space before": b" GET /v1/models HTTP/1.1\r\n" + HOST + b"\r\n",
    "no path": b"GET  HTTP/1.1\r\n" + HOST + b"\r\n",
    "path of a user": b"GET @other/v1/models HTTP/1.1\r\n" + HOST + b"\r\n",
    "authority": b"GET other:443 HTTP/1.1\r\n" + HOST + b"\r\n",
    "two hosts": b"GET /v1/models HTTP/1.1\r\n" + HOST + HOST + b"\r\n",
    "no host": b"GET /v1/models HTTP/1.1\r\n\r\n",
    "two content types": _post(_length(b"2"), b"Content-Type: text/plain", body=b"{}" + SMUGGLED),
    "two encodings": _post(
        _length(b"2"), b"Content-Encoding: gzip", b"Content-Encoding: br", body=b"{}" + SMUGGLED
    ),
}


@pytest.mark.parametrize("piece_bytes", [None, 7], ids=["at once", "in pieces"])
@pytest.mark.parametrize("request_of", REFUSED.values(), ids=REFUSED)
def test_a_request_with_two_readings_is_refused(
    target: Target, request_of: bytes, piece_bytes: int | None
) -> None:
    marker = f"m{secrets.token_hex(8)}"
    request = request_of.replace(b"MARKER", marker.encode()).replace(b"outer", marker.encode())

    answers = target.answers_to(request, piece_bytes)

    assert len(answers) <= 1
    assert {answer.status for answer in answers if not 400 <= answer.status < 500} == set()
    assert target.reached_openai(marker) == []


_CHUNKED_HEAD = _chunks(b"")
MALFORMED_BODIES = {
    name: request.removeprefix(_CHUNKED_HEAD)
    for name, request in REFUSED.items()
    if request.startswith(_CHUNKED_HEAD)
}


@pytest.mark.parametrize("body", MALFORMED_BODIES.values(), ids=MALFORMED_BODIES)
def test_a_malformed_body_that_comes_after_its_head_is_refused_at_once(
    target: Target, body: bytes
) -> None:
    marker = f"m{secrets.token_hex(8)}".encode()
    head = _post(CHUNKED, b"Expect: 100-continue", body=b"").replace(b"outer", marker)
    with target.connect() as connection:
        connection.sendall(head)
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        with suppress(ConnectionError, ssl.SSLError):  # it may close before it has read it all
            connection.sendall(body)
        answers = answers_in(target.read_to_end(connection))

    assert [answer.status for answer in answers] == [400]
    assert target.reached_openai(marker.decode()) == []


TAKEN = {
    "length with zeros": _post(_length(b"002"), body=b"{}"),
    "chunked in capitals": _post(b"Transfer-Encoding: CHUNKED", body=b"2\r\n{}\r\n" + END),
    "chunk size with zeros": _chunks(b"0002\r\n{}\r\n" + END),
    "chunk with an extension": _chunks(b'2;a=b;c="d"\r\n{}\r\n' + END),
    "chunk with a long extension": _chunks(b"2;" + b"x" * 200_000 + b"\r\n{}\r\n" + END),
    "chunk of each byte": _chunks(b"1\r\n{\r\n1\r\n}\r\n" + END),
    "framing that is said to be of the connection": _post(
        b"Connection: content-length", _length(b"2"), body=b"{}"
    ),
    "upgrade to HTTP/2": _post(
        b"Connection: upgrade, http2-settings",
        b"Upgrade: h2c",
        b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
        _length(b"2"),
        body=b"{}",
    ),
    "line breaks before": b"\r\n\r\n" + _post(_length(b"2"), body=b"{}"),
    "spaces around the path": _post(_length(b"2"), body=b"{}").replace(b"POST /", b"POST  /"),
    "other names of framing": _post(
        b"Transfer_Encoding: chunked",
        b"X-Transfer-Encoding: chunked",
        b"Content_Length: 70",
        _length(b"2"),
        body=b"{}",
    ),
}


@pytest.mark.parametrize("request_of", TAKEN.values(), ids=TAKEN)
def test_a_request_with_an_odd_form_is_one_request(target: Target, request_of: bytes) -> None:
    marker = f"m{secrets.token_hex(8)}"

    answers = target.answers_to(request_of.replace(b"outer", marker.encode()))

    assert [(answer.status, answer.is_whole) for answer in answers] == [(200, True)]
    [arrived] = target.reached_openai(marker)
    assert (arrived["path"], arrived["body_bytes"]) == (f"/v1/anything/{marker}", 2)
    framing = [name for name, _ in arrived["headers"] if name in FRAMING]
    assert framing == ["content-length"]
