"""/v1/files: uploaded with multipart, listed, downloaded, deleted."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from keyturn_cli.standin.answer import json_response, new_id, write
from keyturn_cli.standin.app_state import unix_time
from keyturn_cli.standin.errors import missing_parameter
from keyturn_cli.standin.form import Content
from keyturn_cli.standin.received_body import BODY
from keyturn_cli.standin.store import STORE, Object, page_response

FILE: Final = "file"


def keep_file(request: web.Request, filename: str, purpose: str, content: Content) -> Object:
    """Keep a new file and return its object, which also states the content's digest."""
    payload = {
        "id": new_id("file-"),
        "object": "file",
        "bytes": content.size,
        "created_at": unix_time(request),
        "expires_at": None,
        "filename": filename,
        "purpose": purpose,
        "status": "processed",
        "status_details": None,
        "sha256": content.sha256,
    }
    return request.app[STORE].put(FILE, payload, content)


async def create_file(request: web.Request) -> web.StreamResponse:
    """Keep an uploaded file."""
    form = request[BODY].required_form("file")
    part = form.required("file")
    purpose = form.text("purpose")
    if not purpose:
        raise missing_parameter("purpose")
    return json_response(keep_file(request, part.filename or "file", purpose, part.content))


async def list_files(request: web.Request) -> web.StreamResponse:
    """Answer with a page of the files, of one purpose if the query names it."""
    purpose = request.query.get("purpose")
    objects = request.app[STORE].all(FILE)
    return page_response(request, [kept for kept in objects if purpose in (None, kept["purpose"])])


async def get_file(request: web.Request) -> web.StreamResponse:
    """Answer with what is known of a file."""
    return json_response(request.app[STORE].get(FILE, request.match_info["id"]))


async def get_content(request: web.Request) -> web.StreamResponse:
    """Answer with the bytes of a file."""
    file = request.app[STORE].get(FILE, request.match_info["id"])
    return await content_response(request, FILE, str(file["id"]), str(file["filename"]))


async def content_response(
    request: web.Request, kind: str, object_id: str, filename: str
) -> web.StreamResponse:
    """Answer with the kept bytes of an object, to be saved as *filename*."""
    content = request.app[STORE].content(kind, object_id)
    response = web.StreamResponse(headers={"content-type": "application/octet-stream"})
    quoted = filename.encode("ascii", "replace").decode().replace('"', "'")
    response.headers["content-disposition"] = f'attachment; filename="{quoted}"'
    response.content_length = content.size
    await response.prepare(request)
    for piece in content.pieces():
        await write(request, response, piece)
    await response.write_eof()
    return response


async def delete_file(request: web.Request) -> web.StreamResponse:
    """Forget a file."""
    file_id = request.match_info["id"]
    request.app[STORE].delete(FILE, file_id)
    return json_response({"id": file_id, "object": "file", "deleted": True})


ROUTES: Final = (
    web.post("/v1/files", create_file),
    web.get("/v1/files", list_files),
    web.get("/v1/files/{id}", get_file),
    web.get("/v1/files/{id}/content", get_content),
    web.delete("/v1/files/{id}", delete_file),
)
