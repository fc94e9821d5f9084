"""/v1/containers and their files, which are uploaded with multipart or named by an id."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from keyturn_cli.standin.answer import json_response, new_id
from keyturn_cli.standin.app_state import unix_time
from keyturn_cli.standin.files import FILE, content_response
from keyturn_cli.standin.received_body import BODY
from keyturn_cli.standin.request_body import RequestBody
from keyturn_cli.standin.store import STORE, Object, page_response

_CONTAINER: Final = "container"


async def create_container(request: web.Request) -> web.StreamResponse:
    """Keep a new container."""
    body = RequestBody.read(request)
    container = {
        "id": new_id("cntr_"),
        "object": "container",
        "created_at": unix_time(request),
        "status": "running",
        "name": body.text("name"),
        "expires_after": body.optional("expires_after"),
        "last_active_at": unix_time(request),
        "memory_limit": body.text("memory_limit", default="1g"),
    }
    return json_response(request.app[STORE].put(_CONTAINER, container))


async def list_containers(request: web.Request) -> web.StreamResponse:
    """Answer with a page of the containers, of one name if the query has it."""
    name = request.query.get("name")
    kept = request.app[STORE].all(_CONTAINER)
    return page_response(request, [found for found in kept if name in (None, found["name"])])


async def get_container(request: web.Request) -> web.StreamResponse:
    """Answer with a container."""
    return json_response(_container(request))


async def delete_container(request: web.Request) -> web.StreamResponse:
    """Forget a container."""
    container_id = str(_container(request)["id"])
    request.app[STORE].delete(_CONTAINER, container_id)
    return json_response({"id": container_id, "object": "container.deleted", "deleted": True})


async def create_file(request: web.Request) -> web.StreamResponse:
    """Put a file into a container: the body's own, or a copy of one that is kept."""
    store, container_id = request.app[STORE], str(_container(request)["id"])
    if request[BODY].form is not None:
        part = request[BODY].required_form("file").required("file")
        name, content = part.filename or "file", part.content
    else:
        file_id = RequestBody.read(request).text("file_id")
        name = str(store.get(FILE, file_id)["filename"])
        content = store.content(FILE, file_id)
    file = {
        "id": new_id("cfile_"),
        "object": "container.file",
        "created_at": unix_time(request),
        "bytes": content.size,
        "container_id": container_id,
        "path": f"/mnt/data/{name}",
        "source": "user",
    }
    return json_response(store.put(_files_of(container_id), file, content))


async def list_files(request: web.Request) -> web.StreamResponse:
    """Answer with a page of the files of a container."""
    kind = _files_of(str(_container(request)["id"]))
    return page_response(request, request.app[STORE].all(kind))


async def get_file(request: web.Request) -> web.StreamResponse:
    """Answer with what is known of a file."""
    kind = _files_of(str(_container(request)["id"]))
    return json_response(request.app[STORE].get(kind, request.match_info["file"]))


async def get_content(request: web.Request) -> web.StreamResponse:
    """Answer with the bytes of a file."""
    kind = _files_of(str(_container(request)["id"]))
    file = request.app[STORE].get(kind, request.match_info["file"])
    name = str(file["path"]).rpartition("/")[2]
    return await content_response(request, kind, str(file["id"]), name)


async def delete_file(request: web.Request) -> web.StreamResponse:
    """Forget a file."""
    kind, file_id = _files_of(str(_container(request)["id"])), request.match_info["file"]
    request.app[STORE].delete(kind, file_id)
    return json_response({"id": file_id, "object": "container.file.deleted", "deleted": True})


def _container(request: web.Request) -> Object:
    """Return the container that the path names.

    Raises:
        ApiError: There is none.
    """
    return request.app[STORE].get(_CONTAINER, request.match_info["id"])


def _files_of(container_id: str) -> str:
    return f"file of {container_id}"


ROUTES: Final = (
    web.post("/v1/containers", create_container),
    web.get("/v1/containers", list_containers),
    web.get("/v1/containers/{id}", get_container),
    web.delete("/v1/containers/{id}", delete_container),
    web.post("/v1/containers/{id}/files", create_file),
    web.get("/v1/containers/{id}/files", list_files),
    web.get("/v1/containers/{id}/files/{file}", get_file),
    web.get("/v1/containers/{id}/files/{file}/content", get_content),
    web.delete("/v1/containers/{id}/files/{file}", delete_file),
)
