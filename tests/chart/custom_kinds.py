"""What objects of kinds that Kubernetes itself does not know must look like."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # ships no types
import yaml

_SCHEMAS = yaml.safe_load(Path(__file__).with_name("custom_kinds.yaml").read_text(encoding="utf-8"))

CUSTOM_KINDS = [tuple(name.split()) for name in _SCHEMAS["kinds"]]


def custom_errors(item: Mapping[str, Any]) -> list[str]:
    """Return all that is wrong with *item*, unknown fields included."""
    schema = {
        "$defs": _SCHEMAS["$defs"],
        "type": "object",
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "additionalProperties": False,
        "properties": {
            "apiVersion": {"const": item["apiVersion"]},
            "kind": {"const": item["kind"]},
            "metadata": {"$ref": "#/$defs/metadata"},
            "spec": {
                "type": "object",
                **_SCHEMAS["kinds"][f"{item['apiVersion']} {item['kind']}"],
            },
        },
    }
    return [
        f"{'.'.join(map(str, error.absolute_path))}: {error.message}"
        for error in jsonschema.Draft202012Validator(schema).iter_errors(dict(item))
    ]
