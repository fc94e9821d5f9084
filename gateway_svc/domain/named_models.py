"""The models that a request names: in its URL, and in JSON at any depth."""

from __future__ import annotations

import json
import re
from typing import Final
from urllib.parse import parse_qsl, unquote

from gateway_svc.domain.endpoint import Endpoint
from svc_runtime.service_error import InvalidFieldError

_MODEL: Final = "model"
_MAX_CHARACTERS: Final = 256  # of a name; the key service takes no more either
_MAX_PARAMETERS: Final = 5000  # of a query or a form
# Paths whose second segment, and what follows it, is a model.
_MODEL_PATHS: Final = ("models/",)
# The same, of an older form of the API: one segment only.
_ENGINE: Final = re.compile(r"engines/([^/]+)(?:/.*)?")
# `model`, `model[]`, `session[model]`, `tools.0.model`
_SEGMENTS: Final = re.compile(r"[\[\].]+")


class NamedModels:
    """Collects models, in order, each once."""

    def __init__(self) -> None:
        self._models: dict[str, None] = {}

    def __bool__(self) -> bool:
        return bool(self._models)

    @property
    def names(self) -> tuple[str, ...]:
        """What was collected."""
        return tuple(self._models)

    def add(self, *models: str) -> None:
        """Add *models*.

        Raises:
            InvalidFieldError: One cannot be a model's name.
        """
        for model in models:
            if len(model) > _MAX_CHARACTERS or not model.isascii() or not model.isprintable():
                raise InvalidFieldError(
                    _MODEL, f"must have at most {_MAX_CHARACTERS} printable ASCII characters"
                )
            if model:
                self._models[model] = None


def is_model_field(name: str) -> bool:
    """Tell whether a field called *name*, of a query or a form, names a model."""
    return any(_MODEL in _SEGMENTS.split(text.lower()) for text in (name, unquote(name)))


def models_in_url(endpoint: Endpoint, query: str) -> tuple[str, ...]:
    """Return the models that a request's URL names.

    Raises:
        InvalidFieldError: The query names several: OpenAI might take another than policy does.
    """
    in_path = [
        endpoint.name.removeprefix(prefix)
        for prefix in _MODEL_PATHS
        if endpoint.name.startswith(prefix)
    ]
    if engine := _ENGINE.fullmatch(endpoint.name):
        in_path.append(engine[1])
    in_query = models_in_form(query, "query")
    if len(in_query) > 1:
        raise InvalidFieldError("query", "must name one model at most")
    return (*in_path, *in_query)


def models_in_form(text: str, field: str) -> list[str]:
    """Return the models that *text*, percent-encoded parameters, names.

    Raises:
        InvalidFieldError: It cannot be read, or not by everybody alike.
    """
    try:
        # Read twice: some servers take `;` for a separator, too.
        readings = [
            parse_qsl(
                part,
                keep_blank_values=True,
                errors="surrogateescape",
                max_num_fields=_MAX_PARAMETERS,
            )
            for part in (text, text.replace(";", "&"))
        ]
    except ValueError:
        readings = None
    if readings is None:
        raise InvalidFieldError(field, f"must have at most {_MAX_PARAMETERS} parameters")
    strict, lenient = (
        [value for name, value in reading if is_model_field(name)] for reading in readings
    )
    if strict != lenient:
        raise InvalidFieldError(field, "must percent-encode ';' where a model is named")
    return strict


def parse_json(text: str, models: NamedModels) -> object:
    """Parse *text*, and add every model that it names to *models*.

    A `model` that is no string is none: a tool may have a parameter of that name.

    Raises:
        ValueError: It is not JSON, or a name in it occurs twice: OpenAI might take the other value.
        RecursionError: It is too deep.
        InvalidFieldError: What it names cannot be a model.
    """
    found: list[str] = []

    def unambiguous(pairs: list[tuple[str, object]]) -> dict[str, object]:
        parsed = dict(pairs)
        if len(parsed) != len(pairs):
            raise ValueError
        for name, value in pairs:
            if len(name) == len(_MODEL) and name.lower() == _MODEL and isinstance(value, str):
                found.append(value)
        return parsed

    parsed: object = json.loads(
        text, object_pairs_hook=unambiguous, parse_constant=_refuse_constant
    )
    models.add(*found)
    return parsed


def models_in_text(text: str, field: str = "frame", *, is_json: bool = True) -> tuple[str, ...]:
    """Return the models that *text* names, if it is JSON; none if it cannot be.

    Args:
        text: What a message or a field says.
        field: What errors call it.
        is_json: Whether all that begins as JSON does must be JSON.

    Raises:
        InvalidFieldError: It begins as JSON does, and cannot be read, or in two ways.
    """
    if text.lstrip(" \t\r\n\ufeff")[:1] not in {"{", "["}:
        return ()
    models = NamedModels()
    is_read = True
    try:
        parse_json(text, models)
    except (ValueError, RecursionError):
        is_read = False
    if is_read:
        return models.names
    # Prose may begin with a bracket. What a more lenient reader could find a model in may not.
    if is_json or _MODEL in text.lower() or "\\" in text:
        raise InvalidFieldError(field, "must be JSON in which no name occurs twice")
    return ()


def _refuse_constant(constant: str) -> object:
    raise ValueError(constant)
