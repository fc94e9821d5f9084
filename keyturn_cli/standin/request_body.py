"""Reading a JSON request body, with OpenAI's complaints when it is wrong."""

from __future__ import annotations

import json
from typing import Final, Self

from aiohttp import web

from keyturn_cli.standin.errors import (
    ApiError,
    invalid_parameter,
    missing_parameter,
    unknown_model,
    unreadable_body,
)
from keyturn_cli.standin.received_body import BODY

UNKNOWN_MODEL_PREFIX: Final = "unknown-"  # A model named so does not exist.


class RequestBody:
    """The top-level fields of a JSON object, read with their types checked."""

    def __init__(self, fields: dict[str, object]) -> None:
        self._fields = fields

    @classmethod
    def read(cls, request: web.Request) -> Self:
        """Read the body of *request*.

        Raises:
            ApiError: The body is no JSON object.
        """
        try:
            fields = json.loads(request[BODY].content)
        except (ValueError, RecursionError):
            raise unreadable_body() from None
        if not isinstance(fields, dict):
            raise unreadable_body()
        return cls(fields)

    def model(self, default: str | None = None) -> str:
        """Return the model's name.

        Raises:
            ApiError: It is missing without a *default*, no string, or unknown.
        """
        model = self._fields.get("model", default)
        if model is None or model == "":
            raise missing_parameter("model")
        if not isinstance(model, str):
            raise wrong_type("model", "a string", model)
        if model.startswith(UNKNOWN_MODEL_PREFIX):
            raise unknown_model(model)
        return model

    def required(self, name: str) -> object:
        """Return the field *name*, of any type but null.

        Raises:
            ApiError: It is missing or null.
        """
        value = self._fields.get(name)
        if value is None:
            raise missing_parameter(name)
        return value

    def optional(self, name: str) -> object:
        """Return the field *name*, or None."""
        return self._fields.get(name)

    def text(self, name: str, default: str | None = None) -> str:
        """Return the string *name*.

        Raises:
            ApiError: It is missing without a *default*, or no string.
        """
        value = self._fields.get(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, str):
            raise missing_parameter(name) if value is None else wrong_type(name, "a string", value)
        return value

    def mapping(self, name: str) -> dict[str, object]:
        """Return the object *name*, empty when missing or null.

        Raises:
            ApiError: It is no object.
        """
        value = self._fields.get(name)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise wrong_type(name, "an object", value)
        return value

    def items(self, name: str) -> list[object]:
        """Return the required array *name*, which has at least one element.

        Raises:
            ApiError: It is missing, no array, or empty.
        """
        value = self.required(name)
        if not isinstance(value, list):
            raise wrong_type(name, "an array of objects", value)
        if not value:
            raise invalid_parameter(
                f"Invalid '{name}': empty array. Expected an array with minimum length 1, "
                "but got an empty array instead.",
                name,
                "empty_array",
            )
        return value

    def flag(self, name: str) -> bool:
        """Return the boolean *name*, false when missing or null.

        Raises:
            ApiError: It is no boolean.
        """
        value = self._fields.get(name)
        if value is None:
            return False
        if not isinstance(value, bool):
            raise wrong_type(name, "a boolean", value)
        return value

    def count(self, name: str, maximum: int | None = None) -> int | None:
        """Return the integer *name*, from 1 to *maximum*, or None when missing or null.

        Raises:
            ApiError: It is no integer, or out of range.
        """
        value = self._fields.get(name)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool):
            raise wrong_type(name, "an integer", value)
        if value < 1:
            raise invalid_parameter(
                f"Invalid '{name}': integer below minimum value. Expected a value >= 1, "
                f"but got {value} instead.",
                name,
                "integer_below_min_value",
            )
        if maximum is not None and value > maximum:
            raise invalid_parameter(
                f"Invalid '{name}': integer above maximum value. Expected a value <= {maximum}, "
                f"but got {value} instead.",
                name,
                "integer_above_max_value",
            )
        return value


def wrong_type(param: str, expected: str, actual: object) -> ApiError:
    """Return OpenAI's error for a value of the wrong type; it names types, not values."""
    return invalid_parameter(
        f"Invalid type for '{param}': expected {expected}, but got {_json_type(actual)} instead.",
        param,
        "invalid_type",
    )


def content_text(content: object, param: str) -> str:
    """Return the text of a message's *content*: a string, null, or a list of parts.

    Parts that are no text count as empty.

    Raises:
        ApiError: *content* has another type.
    """
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise wrong_type(param, "one of a string or array of objects", content)
    texts = []
    for index, part in enumerate(content):
        if not isinstance(part, dict):
            raise wrong_type(f"{param}[{index}]", "an object", part)
        text = part.get("text", "")
        if not isinstance(text, str):
            raise wrong_type(f"{param}[{index}].text", "a string", text)
        texts.append(text)
    return "".join(texts)


def _json_type(value: object) -> str:
    names = {
        bool: "a boolean",
        int: "an integer",
        float: "a decimal",
        str: "a string",
        list: "an array",
        dict: "an object",
    }
    return names.get(type(value), "null")
