from __future__ import annotations

import pytest

from gateway_svc.domain.headers import (
    header,
    may_pass_to_openai,
    request_headers,
    response_headers,
)


@pytest.mark.parametrize(
    "name",
    [
        "accept",
        "Accept-Language",
        "content-type",
        "Idempotency-Key",
        "OpenAI-Beta",
        "User-Agent",
        "X-Stainless-Retry-Count",
    ],
)
def test_a_listed_header_passes_to_openai(name: str) -> None:
    assert may_pass_to_openai(name)


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "Proxy-Authorization",
        "Api-Key",
        "X-Api-Key",
        "Cookie",
        "OpenAI-Organization",
        "OpenAI-Project",
        "Accept-Encoding",
        "Content-Encoding",
        "Content-Length",
        "Transfer-Encoding",
        "Connection",
        "Host",
        "Upgrade",
        "TE",
        "Trailer",
        "Forwarded",
        "X-Forwarded-For",
        "X-Forwarded-Client-Cert",
        "X-Keyturn-Key",
        "X-Keyturn-Request-Id",
        "x-stainless",
        " accept",
        "",
    ],
)
def test_no_other_header_passes_to_openai(name: str) -> None:
    assert not may_pass_to_openai(name)


def test_headers_pass_in_lower_case_and_in_order() -> None:
    sent = [("Content-Type", "A"), ("Cookie", "canary"), ("ACCEPT", "B"), ("X-Stainless-OS", "C")]

    assert request_headers(sent) == (
        ("content-type", "A"),
        ("accept", "B"),
        ("x-stainless-os", "C"),
    )


def test_openais_headers_pass_by_list_only() -> None:
    answered = [
        ("Content-Type", "application/json"),
        ("X-Request-Id", "req_1"),
        ("X-RateLimit-Remaining-Tokens", "7"),
        ("Retry-After", "1"),
        ("Retry-After-Ms", "900"),
        ("X-Should-Retry", "true"),
        ("OpenAI-Processing-Ms", "5"),
        ("OpenAI-Version", "2020-10-01"),
        ("Set-Cookie", "canary"),
        ("OpenAI-Organization", "canary"),
        ("OpenAI-Project", "canary"),
        ("Authorization", "canary"),
        ("Content-Length", "3"),
        ("Content-Encoding", "gzip"),
        ("Transfer-Encoding", "chunked"),
        ("Connection", "close"),
        ("Location", "canary"),
        ("Alt-Svc", "canary"),
        ("CF-Ray", "canary"),
        ("X-Keyturn-Key", "canary"),
    ]

    assert dict(response_headers(answered)) == {
        "content-type": "application/json",
        "x-request-id": "req_1",
        "x-ratelimit-remaining-tokens": "7",
        "retry-after": "1",
        "retry-after-ms": "900",
        "x-should-retry": "true",
        "openai-processing-ms": "5",
        "openai-version": "2020-10-01",
    }


@pytest.mark.parametrize(("name", "value"), [("a", "1"), ("b", "2"), ("c", "")])
def test_a_header_is_looked_up_by_its_first_value(name: str, value: str) -> None:
    assert header((("a", "1"), ("b", "2"), ("a", "3")), name) == value


@pytest.mark.parametrize(
    "value",
    ["\udcff\udcfe", "é", "a\r\nb", "x" * 4097],
    ids=["surrogates", "not-ascii", "line-break", "too-long"],
)
def test_a_header_of_openais_that_grpc_cannot_carry_is_left_out(value: str) -> None:
    assert response_headers([("x-request-id", value), ("retry-after", "1")]) == (
        ("retry-after", "1"),
    )


@pytest.mark.parametrize(
    "name", ["x-stainless-a\r\nauthorization", "x-stainless-a b:c", "x-stainless-é"]
)
def test_a_header_name_that_is_none_does_not_pass(name: str) -> None:
    assert not may_pass_to_openai(name)
