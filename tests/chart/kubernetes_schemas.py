"""What versions of Kubernetes say an object must look like, field by field.

The schemas are those of the package kubernetes-validate; read once here, and every error is
reported, where the package reads them for each object and reports the first one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # ships no types
from referencing import Registry, Resource

VERSIONS = ("1.31", "1.34", "1.37")

_SCHEMAS = files("kubernetes_validate") / "kubernetes-json-schema"


class UnknownKindError(Exception):
    """Kubernetes itself has no such kind in that version."""


def schema_errors(item: Mapping[str, Any], version: str) -> list[str]:
    """Return all that *version* of Kubernetes finds wrong with *item*, unknown fields included.

    Args:
        item: The object.
        version: One of `VERSIONS`.

    Raises:
        UnknownKindError: The version has no such kind.
    """
    validator = _validator(item["kind"], item["apiVersion"], version)
    return [
        f"{'.'.join(map(str, error.absolute_path))}: {error.message}"
        for error in validator.iter_errors(item)
    ]


@cache
def _validator(kind: str, api_version: str, version: str) -> Any:  # noqa: ANN401 -- jsonschema has no types
    group = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", api_version)
    name = f"{kind}-{group}.json".lower()
    folder = _folder(version)
    if not (folder / name).is_file():
        raise UnknownKindError(f"{api_version} {kind} in {version}")
    schema = Resource.from_contents(json.loads((folder / name).read_text(encoding="utf-8")))
    registry = schema @ (_definitions(version) @ Registry())
    return jsonschema.Draft202012Validator(schema.contents, registry=registry)


@cache
def _definitions(version: str) -> Any:  # noqa: ANN401 -- referencing's types are generic over schemas
    text = (_folder(version) / "_definitions.json").read_text(encoding="utf-8")
    return Resource.from_contents(json.loads(text))


def _folder(version: str) -> Any:  # noqa: ANN401 -- Traversable lacks sub-folders' types
    [found] = [
        folder
        for folder in _SCHEMAS.iterdir()
        if re.fullmatch(rf"v{re.escape(version)}(\.\d+)?-local-strict", folder.name)
    ]
    return found
