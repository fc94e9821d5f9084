"""The objects that requests have made, in memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from aiohttp import web

from keyturn_cli.standin.answer import json_response
from keyturn_cli.standin.errors import ApiError, invalid_parameter
from keyturn_cli.standin.form import Content

Object = Mapping[str, object]

_MAX_OBJECTS: Final = 2_000  # of one kind: the oldest go, so that a long run does not fill memory
_DEFAULT_PAGE: Final = 20
_MAX_PAGE: Final = 10_000


class Store:
    """Objects by kind and id, and the contents of files. Everybody sees all of them."""

    def __init__(self) -> None:
        """Start empty."""
        self._objects: defaultdict[str, dict[str, Object]] = defaultdict(dict)
        self._contents: dict[tuple[str, str], Content] = {}

    def put(self, kind: str, payload: Object, content: Content | None = None) -> Object:
        """Keep *payload* by its `id`, in place of an older one; return it."""
        objects = self._objects[kind]
        object_id = str(payload["id"])
        objects[object_id] = payload
        if content is not None:
            self._contents[kind, object_id] = content
        if len(objects) > _MAX_OBJECTS:
            oldest = next(iter(objects))
            del objects[oldest]
            self._contents.pop((kind, oldest), None)
        return payload

    def get(self, kind: str, object_id: str) -> Object:
        """Return an object.

        Raises:
            ApiError: There is none.
        """
        found = self._objects[kind].get(object_id)
        if found is None:
            raise not_found(kind, object_id)
        return found

    def content(self, kind: str, object_id: str) -> Content:
        """Return the content of a file or a part of an upload.

        Raises:
            ApiError: There is none.
        """
        found = self._contents.get((kind, object_id))
        if found is None:
            raise not_found(kind, object_id)
        return found

    def delete(self, kind: str, object_id: str) -> None:
        """Forget an object and its content.

        Raises:
            ApiError: There is none.
        """
        self.get(kind, object_id)
        del self._objects[kind][object_id]
        self._contents.pop((kind, object_id), None)

    def all(self, kind: str) -> list[Object]:
        """Return the objects of *kind*, the newest first."""
        return list(reversed(self._objects[kind].values()))


STORE: Final[web.AppKey[Store]] = web.AppKey("store")


def not_found(kind: str, object_id: str) -> ApiError:
    """Return OpenAI's error for an id that names nothing."""
    return ApiError(
        HTTPStatus.NOT_FOUND,
        f"No {kind} found with id '{object_id}'.",
        param="id",
        code="not_found",
    )


def page_response(request: web.Request, objects: list[Object]) -> web.Response:
    """Answer with one page of *objects*, the newest of which is first.

    Obeys the query's `limit`, `after`, `before` and `order`.

    Raises:
        ApiError: The limit is no number.
    """
    raw_limit = request.query.get("limit", str(_DEFAULT_PAGE))
    if not raw_limit.isdecimal() or not 1 <= int(raw_limit) <= _MAX_PAGE:
        raise invalid_parameter(f"Invalid 'limit': must be 1 to {_MAX_PAGE}.", "limit")
    ordered = objects[::-1] if request.query.get("order") == "asc" else objects
    ids = [shown["id"] for shown in ordered]
    after, before = request.query.get("after"), request.query.get("before")
    start = ids.index(after) + 1 if after in ids else 0
    end = ids.index(before) if before in ids else len(ids)
    page = ordered[start:end][: int(raw_limit)]
    return json_response(
        {
            "object": "list",
            "data": page,
            "first_id": page[0]["id"] if page else None,
            "last_id": page[-1]["id"] if page else None,
            "has_more": start + len(page) < end,
        }
    )


def has_metadata(payload: Object, query: Mapping[str, str]) -> bool:
    """Tell whether *payload* has what the *query* asks for as `metadata[name]=value`."""
    metadata = payload.get("metadata")
    kept = metadata if isinstance(metadata, dict) else {}
    wanted = {
        name.removeprefix("metadata[").removesuffix("]"): value
        for name, value in query.items()
        if name.startswith("metadata[") and name.endswith("]")
    }
    return all(kept.get(name) == value for name, value in wanted.items())
