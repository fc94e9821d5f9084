"""/v1/uploads: a file that comes in parts."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from keyturn_cli.standin.answer import json_response, new_id
from keyturn_cli.standin.app_state import unix_time
from keyturn_cli.standin.errors import invalid_parameter
from keyturn_cli.standin.files import keep_file
from keyturn_cli.standin.form import Content
from keyturn_cli.standin.received_body import BODY
from keyturn_cli.standin.request_body import RequestBody
from keyturn_cli.standin.store import STORE

_UPLOAD: Final = "upload"
_PART: Final = "upload part"
_LIFE_SECONDS: Final = 3600


async def create_upload(request: web.Request) -> web.StreamResponse:
    """Start an upload."""
    body = RequestBody.read(request)
    body.text("mime_type")
    upload = {
        "id": new_id("upload_"),
        "object": "upload",
        "bytes": body.count("bytes") or 0,
        "created_at": unix_time(request),
        "expires_at": unix_time(request) + _LIFE_SECONDS,
        "filename": body.text("filename"),
        "purpose": body.text("purpose"),
        "status": "pending",
        "file": None,
    }
    return json_response(request.app[STORE].put(_UPLOAD, upload))


async def add_part(request: web.Request) -> web.StreamResponse:
    """Keep a part of an upload."""
    store = request.app[STORE]
    upload = store.get(_UPLOAD, request.match_info["id"])
    data = request[BODY].required_form("data").required("data")
    part = {
        "id": new_id("part_"),
        "object": "upload.part",
        "created_at": unix_time(request),
        "upload_id": upload["id"],
    }
    return json_response(store.put(_PART, part, data.content))


async def complete_upload(request: web.Request) -> web.StreamResponse:
    """Join the parts, in the order that the request states, to a file."""
    store = request.app[STORE]
    upload = store.get(_UPLOAD, request.match_info["id"])
    content = Content()
    for part_id in RequestBody.read(request).items("part_ids"):
        for piece in store.content(_PART, str(part_id)).pieces():
            content.feed(piece)
    if content.size != upload["bytes"]:
        raise invalid_parameter(
            f"Expected {upload['bytes']} bytes, but got {content.size} instead.", "part_ids"
        )
    file = keep_file(request, str(upload["filename"]), str(upload["purpose"]), content)
    return json_response(store.put(_UPLOAD, {**upload, "status": "completed", "file": file}))


async def cancel_upload(request: web.Request) -> web.StreamResponse:
    """Give an upload up."""
    store = request.app[STORE]
    upload = store.get(_UPLOAD, request.match_info["id"])
    return json_response(store.put(_UPLOAD, {**upload, "status": "cancelled"}))


ROUTES: Final = (
    web.post("/v1/uploads", create_upload),
    web.post("/v1/uploads/{id}/parts", add_part),
    web.post("/v1/uploads/{id}/complete", complete_upload),
    web.post("/v1/uploads/{id}/cancel", cancel_upload),
)
