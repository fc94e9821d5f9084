"""/v1/vector_stores: with files, and a search that finds the start of each of them."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from keyturn_cli.standin.answer import json_response, new_id
from keyturn_cli.standin.app_state import unix_time
from keyturn_cli.standin.files import FILE
from keyturn_cli.standin.request_body import RequestBody
from keyturn_cli.standin.store import STORE, Object, page_response

_STORE: Final = "vector store"
_FOUND_CHARACTERS: Final = 80


async def create_store(request: web.Request) -> web.StreamResponse:
    """Keep a new vector store, with the files that the request names."""
    body = RequestBody.read(request)
    now = unix_time(request)
    vector_store: Object = {
        "id": new_id("vs_"),
        "object": "vector_store",
        "created_at": now,
        "name": body.text("name", default=""),
        "description": body.optional("description"),
        "usage_bytes": 0,
        "file_counts": {"in_progress": 0, "completed": 0, "failed": 0, "cancelled": 0, "total": 0},
        "status": "completed",
        "expires_after": body.optional("expires_after"),
        "expires_at": None,
        "last_active_at": now,
        "metadata": body.mapping("metadata"),
    }
    request.app[STORE].put(_STORE, vector_store)
    for file_id in body.items("file_ids") if body.optional("file_ids") else []:
        put_file(request, str(vector_store["id"]), str(file_id), {})
    return json_response(request.app[STORE].get(_STORE, str(vector_store["id"])))


async def list_stores(request: web.Request) -> web.StreamResponse:
    """Answer with a page of the vector stores."""
    return page_response(request, request.app[STORE].all(_STORE))


async def get_store(request: web.Request) -> web.StreamResponse:
    """Answer with a vector store."""
    return json_response(request.app[STORE].get(_STORE, request.match_info["id"]))


async def update_store(request: web.Request) -> web.StreamResponse:
    """Change the name or the metadata of a vector store."""
    body = RequestBody.read(request)
    kept = request.app[STORE].get(_STORE, request.match_info["id"])
    changes = {name: body.optional(name) for name in ("name", "metadata", "expires_after")}
    changed = {**kept, **{name: value for name, value in changes.items() if value is not None}}
    return json_response(request.app[STORE].put(_STORE, changed))


async def delete_store(request: web.Request) -> web.StreamResponse:
    """Forget a vector store."""
    store_id = request.match_info["id"]
    request.app[STORE].delete(_STORE, store_id)
    return json_response({"id": store_id, "object": "vector_store.deleted", "deleted": True})


async def add_file(request: web.Request) -> web.StreamResponse:
    """Put a file into a vector store."""
    body = RequestBody.read(request)
    store_id = request.match_info["id"]
    file_id = body.text("file_id")
    return json_response(put_file(request, store_id, file_id, body.mapping("attributes")))


async def list_files(request: web.Request) -> web.StreamResponse:
    """Answer with a page of the files of a vector store."""
    request.app[STORE].get(_STORE, request.match_info["id"])
    return page_response(request, request.app[STORE].all(files_of(request.match_info["id"])))


async def get_file(request: web.Request) -> web.StreamResponse:
    """Answer with what is known of a file of a vector store."""
    kind = files_of(request.match_info["id"])
    return json_response(request.app[STORE].get(kind, request.match_info["file"]))


async def delete_file(request: web.Request) -> web.StreamResponse:
    """Take a file out of a vector store; the file itself stays."""
    file_id = request.match_info["file"]
    request.app[STORE].delete(files_of(request.match_info["id"]), file_id)
    return json_response({"id": file_id, "object": "vector_store.file.deleted", "deleted": True})


async def search(request: web.Request) -> web.StreamResponse:
    """Answer with the start of every file of a vector store."""
    query = RequestBody.read(request).required("query")
    store = request.app[STORE]
    store.get(_STORE, request.match_info["id"])
    found = [
        {
            "file_id": member["id"],
            "filename": store.get(FILE, str(member["id"]))["filename"],
            "score": 1.0,
            "attributes": member["attributes"],
            "content": [{"type": "text", "text": _start(request, str(member["id"]))}],
        }
        for member in store.all(files_of(request.match_info["id"]))
    ]
    return json_response(
        {
            "object": "vector_store.search_results.page",
            "search_query": query if isinstance(query, list) else [query],
            "data": found,
            "has_more": False,
            "next_page": None,
        }
    )


def put_file(
    request: web.Request, store_id: str, file_id: str, attributes: dict[str, object]
) -> Object:
    """Put a file into a vector store; return what stands there for it."""
    store = request.app[STORE]
    vector_store, file = store.get(_STORE, store_id), store.get(FILE, file_id)
    member = {
        "id": file_id,
        "object": "vector_store.file",
        "usage_bytes": file["bytes"],
        "created_at": unix_time(request),
        "vector_store_id": store_id,
        "status": "completed",
        "last_error": None,
        "attributes": attributes,
        "chunking_strategy": {
            "type": "static",
            "static": {"max_chunk_size_tokens": 800, "chunk_overlap_tokens": 400},
        },
    }
    store.put(files_of(store_id), member)
    total = len(store.all(files_of(store_id)))
    counts = {"in_progress": 0, "completed": total, "failed": 0, "cancelled": 0, "total": total}
    store.put(_STORE, {**vector_store, "file_counts": counts})
    return member


def files_of(store_id: str) -> str:
    """Return the kind under which the files of a vector store are kept."""
    return f"file of {store_id}"


def _start(request: web.Request, file_id: str) -> str:
    return request.app[STORE].content(FILE, file_id).text()[:_FOUND_CHARACTERS]


ROUTES: Final = (
    web.post("/v1/vector_stores", create_store),
    web.get("/v1/vector_stores", list_stores),
    web.get("/v1/vector_stores/{id}", get_store),
    web.post("/v1/vector_stores/{id}", update_store),
    web.delete("/v1/vector_stores/{id}", delete_store),
    web.post("/v1/vector_stores/{id}/search", search),
    web.post("/v1/vector_stores/{id}/files", add_file),
    web.get("/v1/vector_stores/{id}/files", list_files),
    web.get("/v1/vector_stores/{id}/files/{file}", get_file),
    web.delete("/v1/vector_stores/{id}/files/{file}", delete_file),
)
