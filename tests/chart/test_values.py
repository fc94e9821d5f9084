"""The chart's values: all described, and what cannot work is refused with words that help."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.chart_engines import (
    CHART,
    ENGINES,
    ChartRefusedError,
    combination_values,
    default_values,
)

Schema = dict[str, Any]

_SCHEMA: Schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
_REFUSED = {
    entry["case"]: entry
    for entry in yaml.safe_load(Path(__file__).with_name("refused_values.yaml").read_text("utf-8"))
}
_ENGINES = [pytest.param("helm4"), pytest.param("helm3", marks=pytest.mark.node)]


def _resolved(schema: Schema) -> Schema:
    """Return *schema* with the definitions that it refers to."""
    parts = [schema, *schema.get("allOf", ())]
    names = [part["$ref"].rpartition("/")[2] for part in parts if "$ref" in part]
    parts += [_resolved(_SCHEMA["definitions"][name]) for name in names]
    return {key: value for part in reversed(parts) for key, value in part.items()}


def _properties(schema: Schema, name: str = "") -> Iterator[tuple[str, Schema]]:
    """Yield every property, however deep, by its name."""
    schema = _resolved(schema)
    for key, below in schema.get("properties", {}).items():
        place = f"{name}.{key}".lstrip(".")
        yield place, below
        yield from _properties(below, place)
    if isinstance(schema.get("items"), dict):
        yield from _properties(schema["items"], f"{name}[]")


def _value_names(values: Mapping[str, Any], name: str = "") -> Iterator[str]:
    for key, value in values.items():
        place = f"{name}.{key}".lstrip(".")
        yield place
        if isinstance(value, dict):
            yield from _value_names(value, place)


def _merged(values: dict[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(values)
    for key, value in more.items():
        below = result.get(key)
        result[key] = _merged(below, value) if isinstance(below, dict) else value
    return result


def _is_free(schema: Schema) -> bool:
    """A map whose names are the operator's: labels, settings, what Kubernetes itself defines."""
    return "properties" not in schema


def test_every_value_is_in_the_schema() -> None:
    described = dict(_properties(_SCHEMA))
    free = {name for name, schema in described.items() if _is_free(_resolved(schema))}
    unknown = [
        name
        for name in _value_names(default_values())
        if name not in described and not any(name.startswith(f"{part}.") for part in free)
    ]

    assert unknown == []


def test_every_property_is_described() -> None:
    silent = [name for name, part in _properties(_SCHEMA) if not _resolved(part).get("description")]

    assert silent == []


def test_every_object_of_the_schema_refuses_names_that_it_does_not_list() -> None:
    lax = [
        name
        for name, schema in [("", _SCHEMA), *_properties(_SCHEMA)]
        if "properties" in _resolved(schema)
        and _resolved(schema).get("additionalProperties", True) is True
    ]

    assert lax == []


def test_every_property_has_a_type() -> None:
    kinds = {"type", "enum", "const", "oneOf", "anyOf"}
    untyped = [
        name for name, schema in _properties(_SCHEMA) if not kinds & _resolved(schema).keys()
    ]

    assert untyped == []


def test_the_values_hold_no_secret() -> None:
    text = (CHART / "values.yaml").read_text(encoding="utf-8")

    assert re.findall(r"(?im)^\s*(?:password|token|secret):\s*[^\s{\"#][^\n]*", text) == []


def test_the_comments_name_all_that_is_required() -> None:
    """What has no default stands in values.yaml as a comment, for people read that file first."""
    text = (CHART / "values.yaml").read_text(encoding="utf-8")
    required = {
        *_SCHEMA["required"],
        *_SCHEMA["properties"]["vault"]["required"],
        *_SCHEMA["properties"]["people"]["required"],
    }

    assert {name for name in required if not re.search(rf"(?m)^ *(# )?{name}:", text)} == set()


@pytest.mark.parametrize("engine", _ENGINES)
@pytest.mark.parametrize("missing", ["trustDomain", "vault", "people", "limits"])
def test_nothing_is_rendered_without_what_has_no_default(engine: str, missing: str) -> None:
    values = combination_values("minimal")
    del values[missing]

    with pytest.raises(ChartRefusedError, match=missing):
        ENGINES[engine](values)


@pytest.mark.parametrize("engine", _ENGINES)
@pytest.mark.parametrize("case", _REFUSED)
def test_values_that_cannot_work_are_refused_with_their_name(engine: str, case: str) -> None:
    refused = _REFUSED[case]

    with pytest.raises(ChartRefusedError) as caught:
        ENGINES[engine](_merged(combination_values("minimal"), refused["values"]))

    # One engine writes vault.address, the other /vault/address.
    assert re.search(refused["says"], str(caught.value).replace("/", "."))
