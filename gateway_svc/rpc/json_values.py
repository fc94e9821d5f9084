"""Any JSON value as a `google.protobuf.Value`, each way, unless its numbers would change.

A `Value` has doubles only. A whole number that a double may not hold exactly is refused towards
OpenAI; towards the app it travels as a string of its digits, as proto3's own JSON form has it.
"""

from __future__ import annotations

import math
from typing import Final, cast

from google.protobuf.message import Message
from google.protobuf.struct_pb2 import ListValue, Struct, Value

from svc_runtime.service_error import InvalidFieldError

JSONValue = None | bool | int | float | str | list["JSONValue"] | dict[str, "JSONValue"]

FINITE_RULE: Final = "must be finite: JSON has no other numbers"
_EXACT_RULE: Final = "must not have whole numbers of 2^53 and more: a Struct may have rounded them"
# RFC 8259, section 6: from here on neighbouring whole numbers share a double.
_FIRST_UNSAFE: Final = 2**53
# Parsers of messages give up at 100 levels; three levels of messages are one of JSON.
_MAX_DEPTH: Final = 95


def is_json_type(message: Message) -> bool:
    """Tell whether *message* holds any JSON."""
    return isinstance(message, Struct | Value)


def read_json(message: Message, path: str) -> JSONValue:
    """Return what *message*, a Struct or a Value, says.

    Args:
        message: What to read.
        path: Where it stands in the request, for errors.

    Raises:
        InvalidFieldError: It holds a number that is not finite, or may have been rounded.
    """
    if isinstance(message, Struct):
        return {name: read_json(item, path) for name, item in message.fields.items()}
    value = cast("Value", message)
    match value.WhichOneof("kind"):
        case "struct_value":
            return read_json(value.struct_value, path)
        case "list_value":
            return [read_json(item, path) for item in value.list_value.values]
        case "number_value":
            return _read_number(value.number_value, path)
        case "null_value" | None:
            return None
        case kind:
            return cast("str | bool", getattr(value, kind))


def write_struct(target: Struct, source: dict[str, JSONValue], depth: int) -> None:
    """Set *target*, which stands *depth* messages deep, to *source*.

    Raises:
        ValueError: It is too deep, or holds what JSON has not.
    """
    target.SetInParent()
    for name, value in source.items():
        write_value(target.fields[name], value, depth + 2)


def write_value(target: Value, source: JSONValue, depth: int) -> None:
    """Set *target*, which stands *depth* messages deep, to *source*.

    Raises:
        ValueError: It is too deep, or holds what JSON has not.
    """
    if depth > _MAX_DEPTH:
        raise ValueError("the JSON is nested too deep for a message")
    if isinstance(source, dict):
        write_struct(target.struct_value, source, depth + 1)
    elif isinstance(source, list):
        _write_list(target.list_value, source, depth + 1)
    elif isinstance(source, bool):
        target.bool_value = source
    elif isinstance(source, str):
        target.string_value = source
    elif source is None:
        target.null_value = 0  # type: ignore[assignment]  # the enum's only value
    else:
        _write_number(target, source)


def _write_number(target: Value, number: float) -> None:
    if isinstance(number, int) and abs(number) >= _FIRST_UNSAFE:
        target.string_value = str(number)
    elif math.isfinite(number):
        target.number_value = number
    else:
        raise ValueError("JSON has finite numbers only")


def _write_list(target: ListValue, source: list[JSONValue], depth: int) -> None:
    target.SetInParent()
    for item in source:
        write_value(target.values.add(), item, depth + 1)


def _read_number(number: float, path: str) -> int | float:
    """Return *number*, as an integer if it is whole: OpenAI tells the two apart."""
    if not math.isfinite(number):
        raise InvalidFieldError(path, FINITE_RULE)
    if abs(number) >= _FIRST_UNSAFE:
        raise InvalidFieldError(path, _EXACT_RULE)
    return int(number) if number.is_integer() else number
