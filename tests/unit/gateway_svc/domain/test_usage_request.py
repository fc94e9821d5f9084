from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_svc.domain.usage_request import asking_for_usage

CHAT = "chat/completions"


def _asking(
    body: str, method: str = "POST", endpoint: str = CHAT, encoding: str = ""
) -> str | None:
    changed = asking_for_usage(method, endpoint, body.encode(), encoding)
    return None if changed is None else changed.decode()


@pytest.mark.parametrize(
    ("body", "asking"),
    [
        (
            '{"stream":true}',
            '{"stream_options":{"include_usage":true},"stream":true}',
        ),
        (
            ' { "model" : "m" , "stream" : true } ',
            ' {"stream_options":{"include_usage":true}, "model" : "m" , "stream" : true } ',
        ),
        (
            '{"stream":true,"stream_options":null}',
            '{"stream":true,"stream_options":{"include_usage":true}}',
        ),
        (
            '{"stream_options":{},"stream":true}',
            '{"stream_options":{"include_usage":true},"stream":true}',
        ),
        (
            '{"stream_options": { "x" : false }, "stream":true}',
            '{"stream_options": {"include_usage":true, "x" : false }, "stream":true}',
        ),
        (
            '{"stream_options":{"include_usage": false },"stream":true}',
            '{"stream_options":{"include_usage": true },"stream":true}',
        ),
        (
            '{"stream_options":{"include_usage":null},"stream":true}',
            '{"stream_options":{"include_usage":true},"stream":true}',
        ),
        (
            '{"x":"é\\u00e9,\\"stream\\":false","stream":true}',
            '{"stream_options":{"include_usage":true},"x":"é\\u00e9,\\"stream\\":false","stream":true}',
        ),
        (
            '{"str\\u0065am":true,"y":"stream","stream\\u005foptions":null}',
            '{"str\\u0065am":true,"y":"stream","stream\\u005foptions":{"include_usage":true}}',
        ),
    ],
    ids=range(9),
)
def test_a_stream_is_made_to_tell_its_usage_and_no_other_byte_changes(
    body: str, asking: str | None
) -> None:
    assert _asking(body) == asking


@pytest.mark.parametrize(
    "body",
    [
        '{"stream":true,"stream_options":{"include_usage":true}}',
        '{"stream":true,"stream_options":[]}',
        '{"stream":true,"stream_options":{"include_usage":1}}',
        '{"stream":false}',
        '{"stream":1}',
        '{"stream":"true"}',
        '{"messages":[{"stream":true}]}',
        '{"model":"m"}',
        "[true]",
        "",
    ],
)
def test_any_other_body_stays_as_it_is(body: str) -> None:
    assert _asking(body) is None


@pytest.mark.parametrize(
    ("method", "endpoint", "encoding"),
    [("GET", CHAT, ""), ("POST", "responses", ""), ("POST", CHAT, "gzip")],
)
def test_only_chat_completions_in_the_clear_are_changed(
    method: str, endpoint: str, encoding: str
) -> None:
    assert _asking('{"stream":true}', method, endpoint, encoding) is None


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=10,
)


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(st.text(max_size=8), _JSON, max_size=4),
    st.none()
    | st.dictionaries(st.sampled_from(["include_usage", "x"]), st.sampled_from([None, False])),
    st.sampled_from([None, 0, 3]),
    st.booleans(),
)
def test_what_openai_reads_differs_in_the_asking_only(
    fields: dict[str, object],
    options: dict[str, object] | None,
    indent: int | None,
    escape: bool,  # noqa: FBT001 - hypothesis gives it by position
) -> None:
    request = {**fields, "stream": True, "stream_options": options}
    asking = _asking(json.dumps(request, indent=indent, ensure_ascii=escape))

    assert asking is not None
    expected = {**request, "stream_options": {**(options or {}), "include_usage": True}}
    assert json.loads(asking) == expected
