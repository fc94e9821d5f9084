from __future__ import annotations

import json
import math

import pytest
from google.protobuf.struct_pb2 import ListValue, Struct, Value
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_svc.rpc.json_values import (
    JSONValue,
    is_json_type,
    read_json,
    write_struct,
    write_value,
)
from keyturn.gateway.v1.chat_completion_pb2 import ChatMessage
from svc_runtime.service_error import InvalidFieldError

TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
NUMBERS = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(-1e9, 1e9).filter(
    lambda x: not x.is_integer()
)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=10,
)


def _written(source: JSONValue) -> Value:
    value = Value()
    write_value(value, source, 1)
    return value


@settings(max_examples=100, deadline=None)
@given(VALUES)
def test_any_json_is_read_as_it_was_written(source: JSONValue) -> None:
    parsed = Value.FromString(_written(source).SerializeToString())

    assert json.dumps(read_json(parsed, "p"), sort_keys=True) == json.dumps(source, sort_keys=True)


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        (None, "null_value"),
        (True, "bool_value"),
        (0, "number_value"),
        ("", "string_value"),
        ([], "list_value"),
        ({}, "struct_value"),
    ],
    ids=str,
)
def test_every_kind_is_told_from_every_other(source: JSONValue, kind: str) -> None:
    assert _written(source).WhichOneof("kind") == kind


def test_a_value_that_was_never_set_is_null() -> None:
    assert read_json(Value(), "p") is None


def test_an_empty_struct_is_present() -> None:
    message = ChatMessage()
    write_struct(message.extension, {}, 1)

    assert message.HasField("extension")


@pytest.mark.parametrize("number", [2**53, -(2**53), 2**53 + 1, 2**64, -(10**30)])
def test_a_whole_number_beyond_2_53_becomes_its_digits(number: int) -> None:
    assert _written([number]).list_value.values[0].string_value == str(number)


@pytest.mark.parametrize("number", [2**53 - 1, 1 - 2**53, 1e300, 0.1])
def test_any_other_number_stays_a_number(number: float) -> None:
    assert _written(number).number_value == number


@pytest.mark.parametrize("number", [2.0**53, -(2.0**53), 1e300, math.inf, -math.inf, math.nan])
def test_a_number_that_json_has_not_or_that_may_be_rounded_is_refused(number: float) -> None:
    deep = Struct()
    deep.fields["a"].list_value.values.add().number_value = number

    with pytest.raises(InvalidFieldError) as caught:
        read_json(deep, "parameters.extension")

    assert caught.value.field == "parameters.extension"


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan])
def test_a_number_that_json_has_not_is_never_written(number: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        _written({"a": number})


@pytest.mark.parametrize(
    ("opening", "closing", "deepest"), [("[", "]", 47), ('{"a":', "}", 31)], ids=["list", "object"]
)
def test_what_is_nested_too_deep_for_parsers_of_messages_is_not_written(
    opening: str, closing: str, deepest: int
) -> None:
    fitting = json.loads(opening * deepest + "1" + closing * deepest)
    too_deep = json.loads(opening * (deepest + 1) + "1" + closing * (deepest + 1))

    assert Value.FromString(_written(fitting).SerializeToString()) == _written(fitting)
    with pytest.raises(ValueError, match="deep"):
        _written(too_deep)


def test_only_structs_and_values_hold_any_json() -> None:
    assert is_json_type(Struct())
    assert is_json_type(Value())
    assert not is_json_type(ListValue())
    assert not is_json_type(ChatMessage())
