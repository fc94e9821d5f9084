from __future__ import annotations

import pytest

from gateway_svc.domain.http_request import check_header_value, check_method, check_query
from svc_runtime.service_error import InvalidFieldError


@pytest.mark.parametrize(
    "method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY"]
)
def test_a_listed_method_passes(method: str) -> None:
    assert check_method(method, "method") == method


@pytest.mark.parametrize(
    "method", ["", "get", "CONNECT", "TRACE", "PRI", "POST ", "GET\r\n", "GET /x"]
)
def test_no_other_method_passes(method: str) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        check_method(method, "request.method")

    assert caught.value.field == "request.method"


@pytest.mark.parametrize(
    "query", ["", "limit=2&after=x", "include[]=a", "a=%20b", "a=b?c/d", "x" * 8192]
)
def test_an_encoded_query_passes(query: str) -> None:
    assert check_query(query, "query") == query


@pytest.mark.parametrize(
    "query",
    ["a b", "a=%", "a=%2", "a=%zz", "a#b", "a\nb", "a\r\n", "a\0", "é", "a\\b", 'a"b', "x" * 8193],
    ids=ascii,
)
def test_a_query_that_could_become_something_else_is_refused(query: str) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        check_query(query, "query")

    assert caught.value.field == "query"


@pytest.mark.parametrize("value", ["", "application/json", "a\tb ~", "x" * 4096])
def test_a_header_value_passes(value: str) -> None:
    assert check_header_value(value, "accept") == value


@pytest.mark.parametrize(
    "value", ["a\nb", "a\r\nx: y", "a\0", "\x7f", "é", "\x1b[0m", "x" * 4097], ids=ascii
)
def test_a_value_that_may_end_a_header_is_refused(value: str) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        check_header_value(value, "accept")

    assert caught.value.field == "accept"
