"""Requests that nobody would write: the gateway refuses or serves each, and goes on."""

from __future__ import annotations

import json
import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.bounds import bounded
from tests.fuzz.http_answers import answers_in
from tests.fuzz.target import Target

CLOSE = b"Host: gateway\r\nConnection: close\r\n"

METHODS = st.one_of(
    st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY"]),
    st.sampled_from(["GET", "POST", "TRACE", "CONNECT", "get", "PROPFIND", "M-SEARCH", "SOURCE"]),
    st.text("ABCXYZabc-_!~\x00 \t\u00e9", max_size=40),
).map(str.encode)
SEGMENTS = st.one_of(
    st.sampled_from(
        [
            "v1",
            "models",
            "anything",
            "files",
            "",
            ".",
            "..",
            "%2e%2e",
            "%2F",
            "%5c",
            "%00",
            "%0d%0a",
        ]
    ),
    st.sampled_from(["..;", "%", "%zz", "%c0%ae", "%252e", "\\", "//", "?model=", "#", "a" * 300]),
    st.from_regex(r"(?:[A-Za-z0-9._~!$&'()*+,=:@-]|%[0-9A-F]{2}){1,12}", fullmatch=True),
    st.text(max_size=12),
)
TARGETS = st.one_of(
    st.lists(SEGMENTS, max_size=6).map(lambda segments: "/" + "/".join(segments)),
    st.lists(SEGMENTS, max_size=6).map(lambda segments: "/v1/" + "/".join(segments)),
    st.tuples(SEGMENTS, st.text(max_size=30)).map(lambda parts: f"/v1/{parts[0]}?{parts[1]}"),
    st.sampled_from(["*", "", "http://other/v1/models", "//other/v1/models", "/v1/" + "a" * 9000]),
).map(lambda target: target.encode("utf-8", "surrogatepass"))
NAMES = st.one_of(
    st.sampled_from(
        [b"Authorization", b"X-Keyturn-Key", b"X-Keyturn-Request-Id", b"Accept-Encoding", b"TE"]
    ),
    st.sampled_from([b"OpenAI-Beta", b"OpenAI-Organization", b"Idempotency-Key", b"Cookie"]),
    st.sampled_from([b"Content-Type", b"Content-Encoding", b"Range", b"User-Agent", b"Trailer"]),
    st.sampled_from([b"X-Stainless-" + b"a" * 70, b"Sec-WebSocket-Key", b"Upgrade", b"Expect"]),
    st.from_regex(rb"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,20}", fullmatch=True),
    st.binary(min_size=1, max_size=20),
)
VALUES = st.one_of(
    st.sampled_from([b"", b"gzip", b"application/json", b"Bearer a.b.c", b"users/alice/keys/x"]),
    st.sampled_from(
        [b"trailers", b"websocket", b"100-continue", b"bytes=0-", b"\x00", b"\xff\xfe"]
    ),
    st.from_regex(rb"[\x20-\x7e]{1,40}", fullmatch=True),
    st.binary(max_size=40),
    st.integers(1, 20_000).map(lambda size: b"a" * size),
)
HEADERS = st.lists(st.tuples(NAMES, VALUES), max_size=4)


def _must_be_the_clients_fault_or_served(target: Target, request: bytes) -> None:
    answers = [answer for answer in target.answers_to(request) if answer.status != 100]

    assert len(answers) <= 1
    assert all(200 <= answer.status < 500 and answer.is_whole for answer in answers)


@bounded
@given(method=METHODS, path=TARGETS)
def test_any_method_and_path(target: Target, method: bytes, path: bytes) -> None:
    request = method + b" " + path + b" HTTP/1.1\r\n" + CLOSE + b"\r\n"

    _must_be_the_clients_fault_or_served(target, request)


@bounded
@given(headers=HEADERS, path=st.sampled_from([b"models", b"anything/x", b"realtime?model=x"]))
def test_any_headers(target: Target, headers: list[tuple[bytes, bytes]], path: bytes) -> None:
    lines = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
    request = b"GET /v1/" + path + b" HTTP/1.1\r\n" + CLOSE + lines + b"\r\n"

    _must_be_the_clients_fault_or_served(target, request)


@pytest.mark.parametrize("count", [1000, 100_000])
@pytest.mark.parametrize("line", [b"X-A: b\r\n", b"OpenAI-A: b\r\n", b"a" * 3000 + b": b\r\n"])
def test_more_headers_than_anybody_needs(target: Target, line: bytes, count: int) -> None:
    request = b"GET /v1/models HTTP/1.1\r\n" + CLOSE + line * count + b"\r\n"

    _must_be_the_clients_fault_or_served(target, request)


@bounded
@given(noise=st.binary(min_size=1, max_size=300))
def test_any_bytes(target: Target, noise: bytes) -> None:
    _must_be_the_clients_fault_or_served(target, noise + b"\r\n\r\n\0\r\n\r\n")


LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.just("gpt-4o")
)
MEMBERS = st.one_of(
    st.sampled_from(["model", "stream", "messages", "n", "id"]), st.text(max_size=5)
)
VALUES_OF_JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(MEMBERS, inner, max_size=4),
    max_leaves=20,
)
JSON_BODIES = st.one_of(
    st.binary(max_size=200),
    VALUES_OF_JSON.map(lambda value: json.dumps(value).encode("utf-8", "replace")),
    st.dictionaries(MEMBERS, VALUES_OF_JSON).map(
        lambda members: json.dumps({**members, "model": "gpt-4o"}, ensure_ascii=False).encode(
            "utf-8", "surrogatepass"
        )
    ),
    st.integers(1, 300_000).map(lambda depth: b'{"model":' + b"[" * depth),
    st.integers(1, 300_000).map(lambda depth: b'{"model":"m","x":' + b'{"a":' * depth),
    st.integers(1, 400).map(
        lambda depth: b'{"model":"gpt-4o","messages":' + b"[" * depth + b"]" * depth + b"}"
    ),
)
FORM_PIECES = st.one_of(
    st.sampled_from(
        [
            b"--b\r\n",
            b"--b--\r\n",
            b"--b",
            b"\r\n",
            b"\r\n\r\n",
            b"\n",
            b'Content-Disposition: form-data; name="model"\r\n\r\n',
            b'Content-Disposition: form-data; name="file"; filename="a"\r\n\r\n',
            b'Content-Disposition: form-data; name="mo\\"del"\r\n',
            b"Content-Disposition: form-data; name*=utf-8''model\r\n\r\n",
            b"Content-Transfer-Encoding: base64\r\n",
            b"gpt-4o",
        ]
    ),
    st.binary(max_size=20),
)
FORMS = st.one_of(
    st.lists(FORM_PIECES, max_size=12).map(b"".join),
    st.lists(FORM_PIECES, max_size=6).map(
        lambda pieces: (
            b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n--b\r\n'
            b'Content-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
            + b"".join(pieces)
            + b"\r\n--b--\r\n"
        )
    ),
)
BODIES = st.one_of(
    st.tuples(st.just(b"application/json"), JSON_BODIES),
    st.tuples(st.just(b"multipart/form-data; boundary=b"), FORMS),
    st.tuples(st.sampled_from([b"", b"text/plain", b"multipart/mixed"]), st.binary(max_size=20)),
)
PATHS = st.sampled_from(
    [b"chat/completions", b"responses", b"embeddings", b"files", b"audio/transcriptions"]
)


@bounded
@given(path=PATHS, body=BODIES)
def test_any_body(target: Target, path: bytes, body: tuple[bytes, bytes]) -> None:
    content_type, content = body
    head = b"POST /v1/" + path + b" HTTP/1.1\r\n" + CLOSE + b"Content-Type: " + content_type
    request = head + b"\r\nContent-Length: %d\r\n\r\n" % len(content) + content

    _must_be_the_clients_fault_or_served(target, request)


CHUNKS = st.lists(
    st.one_of(
        st.binary(min_size=1, max_size=30).map(lambda data: b"%x\r\n%b\r\n" % (len(data), data)),
        st.sampled_from([b"2\r\n{}\r\n", b"5;x=y\r\n12345\r\n", b"0\r\n\r\n", b"g\r\n", b"-1\r\n"]),
        st.binary(max_size=10),
    ),
    max_size=6,
)


@bounded
@given(chunks=CHUNKS, cut=st.integers(0, 40))
def test_any_chunks_cut_anywhere(target: Target, chunks: list[bytes], cut: int) -> None:
    marker = secrets.token_hex(8).encode()
    body = b"".join(chunks)
    head = b"POST /v1/anything/" + marker + b" HTTP/1.1\r\n" + CLOSE
    head += b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    with target.connect() as connection:
        connection.sendall(head + body[: len(body) - cut])
        # Whoever stops in the middle may wait for ever: a good request is what is waited for.
        assert target.serves()

    assert all(request["body_complete"] for request in target.reached_openai(marker.decode()))


def test_requests_in_one_piece_are_answered_in_order_and_bodies_stay_bodies(
    target: Target,
) -> None:
    marker = secrets.token_hex(8)
    inner = f"GET /v1/anything/{marker}/smuggled HTTP/1.1\r\nHost: gateway\r\n\r\n".encode()
    form = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    form += inner + b"\r\n--b--\r\n"
    kind = b"Content-Type: multipart/form-data; boundary=b\r\n"
    endings = [
        b"\r\n",
        kind + b"Content-Length: %d\r\n\r\n" % len(form) + form,
        kind + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(form) + form + b"\r\n0\r\n\r\n",
    ] * 4
    endings.append(b"Connection: close\r\n\r\n")
    paths = [f"/v1/anything/{marker}/{number}" for number in range(len(endings))]
    heads = [f"POST {path} HTTP/1.1\r\nHost: gateway\r\n".encode() for path in paths]

    answers = answers_in(target.said_to(b"".join(map(bytes.__add__, heads, endings))))

    assert [json.loads(answer.body)["path"] for answer in answers] == paths
    assert [r["path"] for r in target.reached_openai(f"/{marker}/")] == paths


@pytest.mark.parametrize("bad", [b"GET /v1/models HTTP/1.1\r\nHost : x\r\n\r\n", b"\0\r\n\r\n"])
def test_nothing_is_read_after_what_is_malformed(target: Target, bad: bytes) -> None:
    marker = secrets.token_hex(8)
    smuggled = f"GET /v1/anything/{marker} HTTP/1.1\r\nHost: gateway\r\n\r\n".encode()

    answers = answers_in(target.said_to(bad + smuggled))

    assert [answer.status for answer in answers] == [400]
    assert target.reached_openai(marker) == []


@bounded
@given(noise=st.binary(min_size=1, max_size=600))
def test_what_is_no_tls_is_cut(target: Target, noise: bytes) -> None:
    with target.connect_plainly() as connection:
        connection.sendall(noise)
        assert target.serves()
