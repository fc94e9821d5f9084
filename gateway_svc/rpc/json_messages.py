"""OpenAI's JSON objects and the typed messages, each way, losing nothing.

A message's fields bear OpenAI's names. What a message has no field for travels in its `extension`.
"""

from __future__ import annotations

import math
from typing import Final, cast

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.json_format import ParseError as ProtoParseError
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct, Value

from gateway_svc.domain.errors import UpstreamAnswerUnusableError
from svc_runtime.service_error import InvalidFieldError

_EXTENSION: Final = "extension"
_PARTS: Final = "content_parts"
_CONTENT: Final = "content"
_JSON_TYPES: Final = (Struct.DESCRIPTOR, Value.DESCRIPTOR)
_FINITE_RULE: Final = "must be finite: JSON has no other numbers"

JSONValue = None | bool | int | float | str | list["JSONValue"] | dict[str, "JSONValue"]


def to_object(message: Message, path: str) -> dict[str, JSONValue]:
    """Return the JSON object that *message* stands for.

    Args:
        message: A message whose fields bear OpenAI's names.
        path: Where it stands in the request, for errors.

    Raises:
        InvalidFieldError: Its extension names a field that the message has, or a number is not
            finite.
    """
    result: dict[str, JSONValue] = {}
    extension: dict[str, JSONValue] = {}
    for field, value in message.ListFields():
        if field.name == _EXTENSION:
            extension = cast("dict[str, JSONValue]", _json(value, f"{path}.{_EXTENSION}"))
        elif field.name == _PARTS:
            result[_CONTENT] = [_json(part, f"{path}.{_PARTS}") for part in value.parts]
        elif field.is_repeated:
            result[field.name] = [_field_value(field, item, path) for item in value]
        else:
            result[field.name] = _field_value(field, value, path)
    for name, value in extension.items():
        if name in message.DESCRIPTOR.fields_by_name or name == "stream":
            raise InvalidFieldError(
                f"{path}.{_EXTENSION}", "must not name what has a field or is decided by the method"
            )
        result[name] = value
    return result


def fill(message: Message, source: dict[str, JSONValue]) -> None:
    """Set the fields of *message* from OpenAI's object *source*.

    Raises:
        UpstreamAnswerUnusableError: It holds what no message can: half a surrogate pair, a number
            beyond the doubles.
    """
    try:
        _fill(message, source)
    except (ValueError, OverflowError, ProtoParseError):
        pass
    else:
        return
    # Here, not inside `except`: an encoding error holds what it could not encode.
    raise UpstreamAnswerUnusableError


def _fill(message: Message, source: dict[str, JSONValue]) -> None:
    fields = message.DESCRIPTOR.fields_by_name
    extension: dict[str, JSONValue] = {}
    for name, value in source.items():
        if name == _CONTENT and _PARTS in fields and isinstance(value, list):
            is_filled = _fill_parts(message, value)
        elif name in fields and name not in {_EXTENSION, _PARTS}:
            is_filled = _fill_field(message, cast("FieldDescriptor", fields[name]), value)
        else:
            is_filled = False
        if not is_filled:
            extension[name] = value
    if extension and _EXTENSION in fields:
        cast("Struct", getattr(message, _EXTENSION)).update(extension)


def _field_value(field: FieldDescriptor, value: object, path: str) -> JSONValue:
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidFieldError(f"{path}.{field.name}", _FINITE_RULE)
    if field.message_type is None:
        return cast("JSONValue", value)
    if field.message_type in _JSON_TYPES:
        return _json(cast("Message", value), f"{path}.{field.name}")
    return to_object(cast("Message", value), f"{path}.{field.name}")


def _json(message: Message, path: str) -> JSONValue:
    """Return what a Struct or a Value says."""
    try:
        return _plain(MessageToDict(message))
    except ValueError:
        pass
    raise InvalidFieldError(path, _FINITE_RULE)


def _plain(value: object) -> JSONValue:
    """Return *value* with whole numbers as integers: a Struct has doubles only, OpenAI does not."""
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return cast("JSONValue", value)


def _fill_parts(message: Message, parts: list[JSONValue]) -> bool:
    if not all(isinstance(part, dict) for part in parts):
        return False
    getattr(message, _PARTS).parts.extend(
        ParseDict(cast("dict[str, object]", part), Struct()) for part in parts
    )
    return True


def _fill_field(message: Message, field: FieldDescriptor, value: JSONValue) -> bool:
    """Set one field; return whether *value* is of its type. None sets nothing."""
    if value is None:
        return True
    if field.is_repeated:
        return isinstance(value, list) and _fill_repeated(message, field, value)
    if field.message_type is None:
        return _fill_scalar(message, field, value)
    target = getattr(message, field.name)
    if field.message_type in _JSON_TYPES:
        return _fill_json(target, value)
    if not isinstance(value, dict):
        return False
    target.SetInParent()
    _fill(target, value)
    return True


def _fill_repeated(message: Message, field: FieldDescriptor, values: list[JSONValue]) -> bool:
    target = getattr(message, field.name)
    if field.message_type is None or field.message_type in _JSON_TYPES:
        return False  # no answer has such a field; it would travel in the extension
    if not all(isinstance(value, dict) for value in values):
        return False
    for value in values:
        _fill(target.add(), cast("dict[str, JSONValue]", value))
    return True


def _fill_scalar(message: Message, field: FieldDescriptor, value: JSONValue) -> bool:
    try:
        setattr(message, field.name, value)
    except (TypeError, ValueError):
        return False
    return True


def _fill_json(target: Message, value: JSONValue) -> bool:
    try:
        ParseDict(cast("dict[str, object]", value), target)  # a Value takes any JSON, too
    except ProtoParseError:
        return False
    return True
