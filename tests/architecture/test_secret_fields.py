"""The protos mark every secret field, so that a list of them can be derived."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from google.protobuf.descriptor import Descriptor, FieldDescriptor, FileDescriptor

from tests.architecture.source_tree import modules

SECRET_FIELDS = {
    "envoy.service.auth.v3.HeaderValue.raw_value",
    "envoy.service.auth.v3.HeaderValue.value",
    "envoy.service.auth.v3.HttpRequest.headers",
    "keyturn.keyvault.v1.AcquireLeaseRequest.app_token",
    "keyturn.keyvault.v1.AcquireLeaseRequest.owner_token",
    "keyturn.keyvault.v1.CreateKeyRequest.api_key",
    "keyturn.keyvault.v1.Lease.sealed_key",
    "keyturn.keyvault.v1.Lease.wrapping_token",
    "keyturn.keyvault.v1.RotateKeyRequest.api_key",
}
_SOUNDS_SECRET = re.compile(
    r"(^|_)(api_key|credential|password|sealed_key|secret|(?<!page_)token)$"  # a place in a list
)


def _files() -> Iterator[FileDescriptor]:
    for module in modules("keyturn"):
        descriptor = getattr(module, "DESCRIPTOR", None)
        if isinstance(descriptor, FileDescriptor):
            yield descriptor


def _messages(nested: Mapping[str, Descriptor]) -> Iterator[Descriptor]:
    for message in nested.values():
        yield message
        yield from _messages(message.nested_types_by_name)


def _fields() -> dict[str, FieldDescriptor]:
    return {
        field.full_name: field
        for file in _files()
        for message in _messages(file.message_types_by_name)
        for field in message.fields
    }


def test_the_fields_marked_secret_are_those_that_are_secret() -> None:
    marked = {name for name, field in _fields().items() if field.GetOptions().debug_redact}

    assert marked == SECRET_FIELDS


def test_every_field_that_sounds_secret_is_marked() -> None:
    sounding = {name for name, field in _fields().items() if _SOUNDS_SECRET.search(field.name)}

    assert sounding <= SECRET_FIELDS
