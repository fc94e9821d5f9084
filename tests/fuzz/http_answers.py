"""Reading HTTP/1.1 answers from bytes, strictly."""

from __future__ import annotations

from dataclasses import dataclass

_LINE = b"\r\n"


@dataclass(frozen=True)
class Answer:
    """One answer. Header names are in lower case; *is_whole* tells whether its end has come."""

    status: int
    headers: dict[str, str]
    body: bytes
    is_whole: bool


def answers_in(received: bytes, *, is_head: bool = False) -> list[Answer]:
    """Return the answers that *received* is made of, up to the end of the connection."""
    answers = []
    while received:
        answer, received = _first(received, is_head=is_head)
        answers.append(answer)
    return answers


def _first(received: bytes, *, is_head: bool) -> tuple[Answer, bytes]:
    head, mark, rest = received.partition(_LINE * 2)
    assert mark, f"no whole head: {head!r}"
    status_line, *lines = head.decode("ascii").split("\r\n")
    version, status, _ = status_line.split(" ", 2)
    assert version.startswith("HTTP/")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        assert name.lower() not in headers, f"{name} twice"
        headers[name.lower()] = value.strip()
    code = int(status)
    if is_head and rest and not rest.startswith(b"HTTP/"):
        assert code == 400  # only to what it could not read the gateway may give a body
        is_head = False
    if is_head or code < 200 or code in {204, 304}:
        return Answer(code, headers, b"", is_whole=True), rest
    if headers.get("transfer-encoding") == "chunked":
        body, rest, is_whole = _chunks(rest)
        return Answer(code, headers, body, is_whole), rest
    length = int(headers.get("content-length", len(rest)))
    return Answer(code, headers, rest[:length], len(rest) >= length), rest[length:]


def _chunks(rest: bytes) -> tuple[bytes, bytes, bool]:
    body = b""
    while rest:
        size_line, _, rest = rest.partition(_LINE)
        size = int(size_line, 16)
        if size == 0:
            _, _, rest = rest.partition(_LINE)
            return body, rest, True
        body, rest = body + rest[:size], rest[size + len(_LINE) :]
    return body, b"", False
