"""How the fields of typed messages stand for members of OpenAI's JSON objects.

A field bears the name of its member, but for the forms of a member that has several:

- A message whose only field is repeated stands for a list. The field of this type is named after
  the member and the list: `input_texts`, of a message with `texts`, is the member `input`.
- Bytes stand for a string in base64: `embedding_bytes` is the member `embedding`.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from typing import Final, cast

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from gateway_svc.rpc.json_values import JSONValue

EXTENSION: Final = "extension"
_BYTES_SUFFIX: Final = "_bytes"
_INTEGERS: Final[Mapping[int, range]] = {
    FieldDescriptor.CPPTYPE_INT32: range(-(2**31), 2**31),
    FieldDescriptor.CPPTYPE_UINT32: range(2**32),
    FieldDescriptor.CPPTYPE_INT64: range(-(2**63), 2**63),
    FieldDescriptor.CPPTYPE_UINT64: range(2**64),
}


@cache
def fields_by_member(descriptor: Descriptor) -> Mapping[str, tuple[FieldDescriptor, ...]]:
    """Return the fields that stand for each member: one for each form that it may have."""
    fields: dict[str, tuple[FieldDescriptor, ...]] = defaultdict(tuple)
    for field in descriptor.fields:
        if field.name != EXTENSION:
            fields[member_of(field)] += (field,)
    return dict(fields)


@cache
def member_of(field: FieldDescriptor) -> str:
    """Return the name of the member that *field* stands for."""
    if field.type == FieldDescriptor.TYPE_BYTES:
        return field.name.removesuffix(_BYTES_SUFFIX)
    items = None if field.is_repeated else items_of(field.message_type)
    return field.name if items is None else field.name.removesuffix(f"_{items.name}")


@cache
def items_of(descriptor: Descriptor | None) -> FieldDescriptor | None:
    """Return the one field of a message that stands for a list; None for any other."""
    if descriptor is None or len(descriptor.fields) != 1:
        return None
    (field,) = descriptor.fields
    return field if field.is_repeated and not is_map(field) else None


def is_map(field: FieldDescriptor) -> bool:
    """Tell whether *field* is a map."""
    entry = field.message_type
    return entry is not None and entry.GetOptions().map_entry


def map_value(field: FieldDescriptor) -> FieldDescriptor:
    """Return the field of the values of *field*, a map."""
    entry = cast("Descriptor", field.message_type)
    return entry.fields_by_name["value"]


def scalar_fitting(field: FieldDescriptor, value: JSONValue) -> bool | float | str | bytes | None:
    """Return *value* as *field* holds it; None if the field cannot hold it unchanged."""
    if isinstance(value, bool):
        return value if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL else None
    if isinstance(value, str):
        return _text_fitting(field, value)
    if not isinstance(value, int | float):
        return None
    if field.cpp_type == FieldDescriptor.CPPTYPE_DOUBLE:
        return _double(value)
    fits = isinstance(value, int) and value in _INTEGERS.get(field.cpp_type, ())
    return value if fits else None


def json_of(value: bool | float | str | bytes) -> JSONValue:  # noqa: FBT001 - any scalar
    """Return the JSON value that the scalar *value* stands for."""
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def _text_fitting(field: FieldDescriptor, value: str) -> str | bytes | None:
    if field.type == FieldDescriptor.TYPE_STRING:
        return value
    if field.type != FieldDescriptor.TYPE_BYTES:
        return None
    try:
        decoded = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return None
    return decoded if base64.b64encode(decoded).decode() == value else None


def _double(value: float) -> float | None:
    try:
        double = float(value)
    except OverflowError:
        return None
    return double if double == value and math.isfinite(double) else None
