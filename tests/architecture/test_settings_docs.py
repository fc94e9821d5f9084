"""Operators read of every setting and its default."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from gateway_svc.settings import Settings as GatewaySettings
from keyvault_svc.settings import Settings as KeyServiceSettings
from tests.architecture.documented_tables import code_words, table_rows

OPERATORS = "docs/operators.md"
SETTINGS = pytest.mark.parametrize(
    ("settings", "heading"),
    [
        (KeyServiceSettings, "Settings of the key service"),
        (GatewaySettings, "Settings of the gateway"),
    ],
)


def _models_in(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models_in(argument)]


def _shown_default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    default = field.get_default(call_default_factory=True, validated_data={})
    if default is None:
        return "none"
    if default in ((), {}):
        return "empty"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _defaults(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield each setting with its default as shown; of a table, the settings in it."""
    for name, field in model.model_fields.items():
        path = prefix + name
        is_list = getattr(field.annotation, "__origin__", None) is tuple
        tables = _models_in(field.annotation)
        is_optional = not field.is_required() and _shown_default(field) in {"none", "empty"}
        if not tables or is_optional:
            yield path, _shown_default(field)
        for table in tables:
            yield from _defaults(table, f"{path}[]." if is_list else f"{path}.")


@SETTINGS
def test_every_setting_is_documented_with_its_default(
    settings: type[BaseModel], heading: str
) -> None:
    documented = {
        code_words(name)[0]: default
        for name, default, _ in table_rows(OPERATORS, heading, "setting")
    }

    assert documented == dict(_defaults(settings))


@SETTINGS
def test_every_setting_has_a_meaning(settings: type[BaseModel], heading: str) -> None:
    meanings = {name: text for name, _, text in table_rows(OPERATORS, heading, "setting")}

    assert len(meanings) == len(dict(_defaults(settings)))
    assert [name for name, text in meanings.items() if not text.endswith(".")] == []
