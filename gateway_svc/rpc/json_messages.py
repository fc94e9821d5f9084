"""OpenAI's JSON objects and the typed messages, each way, losing nothing.

What a message has no field for, or what its field cannot hold unchanged, travels in its
`extension`; so do null and empty lists, which a field cannot tell from absence.
"""

from __future__ import annotations

import math
from collections.abc import Set as AbstractSet
from typing import Any, cast

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct, Value

from gateway_svc.domain.errors import UpstreamAnswerUnusableError
from gateway_svc.rpc.json_fields import (
    EXTENSION,
    fields_by_member,
    is_map,
    items_of,
    json_of,
    map_value,
    member_of,
    scalar_fitting,
)
from gateway_svc.rpc.json_values import (
    FINITE_RULE,
    JSONValue,
    is_json_type,
    read_json,
    write_struct,
    write_value,
)
from svc_runtime.service_error import InvalidFieldError


def to_object(
    message: Message, path: str, *, reserved: AbstractSet[str] = frozenset()
) -> dict[str, JSONValue]:
    """Return the JSON object that *message* stands for.

    Args:
        message: A message whose fields bear OpenAI's names.
        path: Where it stands in the request, for errors.
        reserved: What its extension must not name besides.

    Raises:
        InvalidFieldError: Its extension names a field that is set, or what is reserved; or a number
            is not finite, or may have been rounded.
    """
    result: dict[str, JSONValue] = {}
    extension: dict[str, JSONValue] = {}
    for field, value in message.ListFields():
        where = f"{path}.{field.name}"
        if field.name == EXTENSION:
            extension = cast("dict[str, JSONValue]", read_json(value, where))
        elif is_map(field):
            result[field.name] = {name: _to_json(item, where) for name, item in value.items()}
        elif field.is_repeated:
            result[field.name] = [_to_json(item, where) for item in value]
        else:
            result[member_of(field)] = _to_json(value, where)
    if not extension.keys().isdisjoint(result.keys() | reserved):
        raise InvalidFieldError(
            f"{path}.{EXTENSION}", "must not name what is set or is decided by the method"
        )
    return {**result, **extension}


def fill(message: Message, source: dict[str, JSONValue]) -> None:
    """Set the fields of *message* from OpenAI's object *source*.

    Raises:
        UpstreamAnswerUnusableError: It holds what no message can: half a surrogate pair, a number
            beyond the doubles, objects nested about 30 deep.
    """
    try:
        _fill(message, source, 1)
    except (ValueError, OverflowError):
        pass
    else:
        return
    # Here, not inside `except`: an encoding error holds what it could not encode.
    raise UpstreamAnswerUnusableError


def _to_json(value: object, path: str) -> JSONValue:
    if not isinstance(value, Message):
        if isinstance(value, float) and not math.isfinite(value):
            raise InvalidFieldError(path, FINITE_RULE)
        return json_of(cast("str", value))
    if is_json_type(value):
        return read_json(value, path)
    items = items_of(value.DESCRIPTOR)
    if items is not None:
        return [_to_json(item, path) for item in getattr(value, items.name)]
    return to_object(value, path)


def _fill(message: Message, source: dict[str, JSONValue], depth: int) -> None:
    fields = fields_by_member(message.DESCRIPTOR)
    extension = {
        name: value
        for name, value in source.items()
        if not any(_fits(message, field, value, depth + 1) for field in fields.get(name, ()))
    }
    if extension:
        write_struct(cast("Struct", getattr(message, EXTENSION)), extension, depth + 1)


def _fits(message: Message, field: FieldDescriptor, value: JSONValue, depth: int) -> bool:
    """Set *field* if it can hold *value* unchanged; return whether it can."""
    if field.is_repeated:
        target = getattr(message, field.name)
        if is_map(field):
            return isinstance(value, dict) and _fits_map(target, field, value)
        return isinstance(value, list) and bool(value) and _fits_all(target, field, value, depth)
    if field.message_type is None:
        scalar = scalar_fitting(field, value)
        if scalar is not None:
            setattr(message, field.name, scalar)
        return scalar is not None
    return _fits_message(message, field, value, depth)


def _fits_message(message: Message, field: FieldDescriptor, value: JSONValue, depth: int) -> bool:
    target = getattr(message, field.name)
    items = items_of(field.message_type)
    if isinstance(target, Value):
        write_value(target, value, depth)
    elif items is not None and isinstance(value, list):
        target.SetInParent()
        if not _fits_all(getattr(target, items.name), items, value, depth + 1):
            message.ClearField(field.name)
            return False
    elif items is None and isinstance(value, dict):
        _fill_object(target, value, depth)
    else:
        return False
    return True


def _fill_object(target: Message, value: dict[str, JSONValue], depth: int) -> None:
    target.SetInParent()
    if isinstance(target, Struct):
        write_struct(target, value, depth)
    else:
        _fill(target, value, depth)


def _fits_map(target: Any, field: FieldDescriptor, values: dict[str, JSONValue]) -> bool:  # noqa: ANN401 - any map
    """Set the map *target*, whose values are scalars, if it can hold them all."""
    of_value = map_value(field)
    fitting = {name: scalar_fitting(of_value, value) for name, value in values.items()}
    if not fitting or None in fitting.values():
        return False
    target.update(fitting)
    return True


def _fits_all(target: Any, field: FieldDescriptor, values: list[JSONValue], depth: int) -> bool:  # noqa: ANN401 - any list
    """Set the repeated field *target* if it can hold all of *values*."""
    items = items_of(field.message_type)
    if field.message_type is None:
        fitting = [scalar_fitting(field, value) for value in values]
        if None in fitting:
            return False
        target.extend(fitting)
    elif items is not None:
        for value in values:
            inner = getattr(target.add(), items.name)
            if not isinstance(value, list) or not _fits_all(inner, items, value, depth + 1):
                del target[:]
                return False
    elif all(isinstance(value, dict) for value in values):
        for value in values:
            _fill_object(target.add(), cast("dict[str, JSONValue]", value), depth)
    else:
        return False
    return True
