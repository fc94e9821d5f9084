from __future__ import annotations

from typing import Any

import pytest

from gateway_svc.ext_authz.proxied_request import ProxiedRequest
from svc_runtime.service_error import InvalidFieldError
from tests.unit.gateway_svc.ext_authz.envoy_question import UPSTREAM, one_by_one, question
from tests.unit.gateway_svc.relay_stage import BODY


def _request(**changes: Any) -> ProxiedRequest:  # noqa: ANN401 - of a question
    return ProxiedRequest(question(**changes))


def _body(*, takes_text: bool = False, **changes: Any) -> bytes:  # noqa: ANN401 - of a question
    return _request(**changes).body(takes_text=takes_text)


def test_a_question_is_read_as_its_request_will_be_sent() -> None:
    request = _request(path="/v1/chat/completions?a=1&b=%20")
    endpoint, query = request.target()

    assert (request.method(), endpoint.name, query) == ("POST", "chat/completions", "a=1&b=%20")
    assert (request.source_ip(), request.route_label()) == ("10.1.2.3", UPSTREAM)
    assert request.body(takes_text=False) == BODY


def test_only_headers_that_openai_may_see_pass() -> None:
    names = [name for name, _ in _request().passing_headers()]

    assert sorted(names) == ["content-type", "openai-organization"]


def test_headers_that_come_one_by_one_are_the_same() -> None:
    plain, raw = _request(), _request(headers=dict.fromkeys(_names()), header_map=one_by_one())

    assert sorted(raw.headers) == sorted(plain.headers)
    assert raw.body(takes_text=False) == BODY


def _names() -> list[str]:
    return list(question().attributes.request.http.headers)


def test_headers_in_two_forms_are_refused() -> None:
    with pytest.raises(InvalidFieldError, match="INVALID_ARGUMENT") as caught:
        _request(header_map=one_by_one())

    assert caught.value.field == "headers"


def test_a_header_that_came_twice_is_refused_where_it_counts() -> None:
    twice = ["users/alice/keys/a", "users/alice/keys/b"]
    raw = _request(headers=dict.fromkeys(_names()), header_map=one_by_one(x_keyturn_key=twice))
    shouted = _request(headers={"X-Keyturn-Key": "users/alice/keys/b"})

    for request in (raw, shouted):
        with pytest.raises(InvalidFieldError):
            request.single("x-keyturn-key")


def test_a_type_that_came_twice_is_refused() -> None:
    twice = one_by_one(content_type=["application/json", "text/plain"])
    with pytest.raises(InvalidFieldError) as caught:
        _request(headers=dict.fromkeys(_names()), header_map=twice).passing_headers()

    assert caught.value.field == "content-type"


@pytest.mark.parametrize(
    "path",
    [
        "/chat/completions",
        "//v1/models",
        "/v1/../v1/models",
        "/v1/%2e%2e/files",
        "/v1/files%2fabc",
        "/v1/files;x/abc",
        "/v1/%252e%252e/files",
        "/v1/models#x",
        "https://api.openai.com/v1/models",
        "/V1/models",
        "/v1/",
        "",
    ],
)
def test_a_path_that_could_be_read_in_two_ways_is_refused(path: str) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        _request(path=path).target()

    assert caught.value.field == "path"


@pytest.mark.parametrize("field", ["query", "fragment"])
def test_a_query_beside_the_path_is_refused(field: str) -> None:
    with pytest.raises(InvalidFieldError):
        _request(**{field: "model=gpt-4o"}).target()


@pytest.mark.parametrize("method", ["CONNECT", "TRACE", "post", ""])
def test_a_method_that_does_not_pass_is_refused(method: str) -> None:
    with pytest.raises(InvalidFieldError):
        _request(method=method).method()


def test_a_request_for_another_protocol_is_refused() -> None:
    with pytest.raises(InvalidFieldError) as caught:
        _request(method="GET", headers={"upgrade": "websocket"}).method()

    assert caught.value.field == "upgrade"


@pytest.mark.parametrize("source", ["", "localhost", "10.1.2.3:80", "/run/envoy.sock"])
def test_a_source_that_is_no_address_is_refused(source: str) -> None:
    with pytest.raises(InvalidFieldError):
        _request(source=source).source_ip()


def test_an_address_is_written_as_grants_write_it() -> None:
    assert _request(source="::ffff:10.1.2.3").source_ip() == "10.1.2.3"
    assert _request(source="2001:DB8::1").source_ip() == "2001:db8::1"


@pytest.mark.parametrize(
    "changes",
    [
        {"headers": {"x-envoy-auth-partial-body": "true"}},
        {"headers": {"x-envoy-auth-partial-body": "false,false"}},
        {"headers": {"x-envoy-auth-partial-body": None}},
        {"headers": {"content-length": "999"}},
        {"headers": {"content-length": f"{len(BODY)},{len(BODY)}"}},
        {"headers": {"x-envoy-auth-partial-body": None}, "raw_body": b""},
        {
            "headers": {
                "x-envoy-auth-partial-body": None,
                "content-length": None,
                "transfer-encoding": "chunked",
            },
            "raw_body": b"",
            "method": "GET",
        },
        {
            "headers": {"x-envoy-auth-partial-body": None, "content-length": None},
            "raw_body": b"",
        },
    ],
    ids=range(8),
)
def test_a_body_that_was_not_seen_whole_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        _body(**changes)

    assert caught.value.field == "body"


@pytest.mark.parametrize(
    ("method", "length"), [("GET", None), ("DELETE", None), ("GET", "0"), ("POST", "0")]
)
def test_a_request_that_says_so_has_no_body(method: str, length: str | None) -> None:
    headers = {"x-envoy-auth-partial-body": None, "content-length": length}

    assert _body(method=method, headers=headers, raw_body=b"") == b""


def test_a_body_without_a_length_is_whole_by_envoys_word() -> None:
    assert _body(headers={"content-length": None}) == BODY


def test_a_body_as_text_is_refused_unless_the_operator_takes_it() -> None:
    text: dict[str, Any] = {"raw_body": b"", "body": BODY.decode()}

    assert _body(takes_text=True, **text) == BODY
    with pytest.raises(InvalidFieldError):
        _body(**text)


@pytest.mark.parametrize(
    "changes",
    [
        {"headers": {"content-type": "multipart/form-data; boundary=x"}},
        {"headers": {"content-type": None}},
        {"headers": {"content-encoding": "gzip"}},
        {"raw_body": BODY},
    ],
    ids=range(4),
)
def test_only_plain_json_is_taken_as_text(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidFieldError):
        _body(takes_text=True, **{"raw_body": b"", "body": BODY.decode(), **changes})
