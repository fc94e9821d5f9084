"""Requests that the SDK does not make: odd methods, queries, paths, bodies and headers."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from typing import Final

from tests.e2e.sdk_compare import NEVER_SENT_ON


@dataclass(frozen=True)
class Raw:
    """A request that no SDK makes, and the status that answers it.

    A body of several pieces is sent in chunks.
    """

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | list[bytes] = b""
    status: int = 200


ANYTHING: Final = "/v1/anything"
JSON: Final = ("Content-Type", "application/json")
GZIP: Final = ("Accept-Encoding", "gzip")
# Bytes that no JSON library would write again as they are.
BODY: Final = b'{ "model" :"gpt-4o-mini","x":1.0e0,\r\n"y":"\\u00e4 \xc3\xa4" , "z":[ ]}\n'
CHAT: Final = (
    b'{"messages":[{"role":"user","content":"one two"}],"stream":true,"model":"gpt-4o-gzip"}'
)
FORM: Final = (
    b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nuser_data\r\n'
    b'--b\r\ncontent-disposition:form-data;name="file";filename="x"\r\n\r\n\x00\xff\r\n--b--'
)
RAW: Final = {
    **{
        f"method {method}": Raw(method, ANYTHING, (JSON,), BODY)
        for method in ("DELETE", "GET", "OPTIONS", "PATCH", "POST", "PUT", "QUERY")
    },
    **{
        f"method {method} without a body": Raw(method, f"{ANYTHING}/rest")
        for method in ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY")
    },
    "repeated and bracketed query": Raw(
        "GET",
        f"{ANYTHING}?a=1&a=2&b[]=x&b%5B%5D=y&c[d][e]=%C3%A9&f&g=&&h=a+b%20c&i=%2f%2F&j='~!*()",
    ),
    "query of delimiters only": Raw("GET", f"{ANYTHING}?&=&=="),
    "percent-encoded path": Raw("GET", f"{ANYTHING}/a%2Db%3Ac/%7Etilde/(x),y+z@!$'*=%41"),
    "empty body with a content type": Raw("POST", ANYTHING, (JSON, ("Content-Length", "0"))),
    "body without a content type": Raw("POST", ANYTHING, (), b"\x00\x01\xff"),
    "binary body": Raw(
        "POST", ANYTHING, (("Content-Type", "application/octet-stream"),), bytes(range(256)) * 999
    ),
    "session description": Raw(
        "POST",
        "/v1/realtime/calls?model=gpt-realtime",
        (("Content-Type", "application/sdp"),),
        b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\n",
        201,
    ),
    "content type with parameters": Raw(
        "POST", ANYTHING, (("Content-Type", "application/json;charset=UTF-8"),), BODY
    ),
    "compressed request": Raw(
        "POST", ANYTHING, (JSON, ("Content-Encoding", "gzip")), gzip.compress(BODY, mtime=0)
    ),
    "compressed answer": Raw(
        "POST", ANYTHING, (JSON, GZIP), BODY.replace(b"gpt-4o-mini", b"gpt-4o-gzip")
    ),
    "compressed answer that is not wanted": Raw(
        "POST", ANYTHING, (JSON,), BODY.replace(b"gpt-4o-mini", b"gpt-4o-gzip")
    ),
    "form in chunks": Raw(
        "POST",
        "/v1/files",
        (("Content-Type", "multipart/form-data; boundary=b"),),
        [FORM[:20], FORM[20:90], FORM[90:]],
    ),
    "form with a length": Raw(
        "POST", "/v1/files", (("Content-Type", 'multipart/form-data; boundary="b"'),), FORM
    ),
    "headers of OpenAI's": Raw(
        "POST",
        ANYTHING,
        (
            JSON,
            ("Accept", "text/event-stream"),
            ("accept", "application/json;q=0.5"),
            ("OpenAI-Beta", "assistants=v2"),
            ("openai-beta", "responses=v9"),
            ("OpenAI-Safety-Of-Tomorrow", "yes"),
            ("Idempotency-Key", "order 7"),
            ("If-None-Match", '"a", "b"'),
            ("Range", "bytes=0-9"),
            ("User-Agent", "till/1.0 (x; y)"),
            ("X-Client-Request-Id", "7"),
            ("X-Stainless-Retry-Count", "2"),
        ),
        BODY,
    ),
    "headers that are not OpenAI's": Raw(
        "POST", ANYTHING, (JSON, *((name, "of the app") for name in sorted(NEVER_SENT_ON))), BODY
    ),
    "unknown path": Raw("POST", "/v1/of/tomorrow", (JSON,), BODY, 404),
    **{
        f"refused model {model}": Raw(
            "POST",
            "/v1/chat/completions",
            (JSON,),
            BODY.replace(b'"model" :"gpt-4o-mini"', f'"messages":[],"model":"{model}"'.encode()),
            status,
        )
        for model, status in {
            "error-400": 400,
            "error-429": 429,
            "error-429-final": 429,
            "error-429-retry": 429,
            "error-500": 500,
            "error-503": 503,
            "unknown-model": 404,
        }.items()
    },
}
