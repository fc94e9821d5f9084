from __future__ import annotations

import pytest

from gateway_svc.domain.headers import (
    accepted_encoding,
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
        "Content-Encoding",
        "content-type",
        "Idempotency-Key",
        "OpenAI-Beta",
        "OpenAI-Something-New",
        "Range",
        "User-Agent",
        "X-Client-Request-Id",
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
        "Accept-Encoding",
        "Content-Length",
        "OpenAI",
        "OpenAI-",
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
        "X-Keyturn-Owner-Token",
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


@pytest.mark.parametrize("name", ["OpenAI-Organization", "openai-project"])
def test_the_account_is_the_apps_choice_only_where_it_may_choose(name: str) -> None:
    sent = [(name, "org-1"), ("accept", "A")]

    assert request_headers(sent) == (("accept", "A"),)
    assert request_headers(sent, may_choose_account=True) == (
        (name.lower(), "org-1"),
        ("accept", "A"),
    )


@pytest.mark.parametrize(
    "accepted",
    ["gzip", "GZIP", "gzip, deflate, br", "br;q=1.0, gzip;q=0.8", "x-gzip", "gzip ; q=0.001"],
)
def test_gzip_is_asked_for_where_the_app_takes_it(accepted: str) -> None:
    assert accepted_encoding([("Accept-Encoding", accepted)]) == "gzip"


@pytest.mark.parametrize(
    "accepted", ["", "identity", "br", "deflate", "gzip;q=0", "gzip;q=0.000", "*", "gzipped"]
)
def test_else_no_encoding_is_asked_for(accepted: str) -> None:
    assert accepted_encoding([("Accept-Encoding", accepted)]) == "identity"


def test_an_app_that_says_nothing_of_encodings_gets_none() -> None:
    assert accepted_encoding([("accept", "gzip")]) == "identity"


@pytest.mark.parametrize(
    ("location", "passes"),
    [
        ("/v1/realtime/calls/rtc_1", True),
        ("https://openai.example/v1/x", False),
        ("//openai.example/v1/x", False),
        ("/v2/x", False),
        ("/v1/x?next=https://openai.example", False),
        ("/v1/..\\x", False),
    ],
)
def test_a_location_passes_only_below_openais_own_paths(location: str, *, passes: bool) -> None:
    assert bool(response_headers([("location", location)])) is passes


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
        ("OpenAI-Something-New", "1"),
        ("Content-Range", "bytes 0-1/2"),
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
        "openai-something-new": "1",
        "content-range": "bytes 0-1/2",
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
