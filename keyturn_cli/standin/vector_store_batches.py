"""/v1/vector_stores/{id}/file_batches: several files put into a vector store at once."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from keyturn_cli.standin.answer import json_response, new_id
from keyturn_cli.standin.app_state import unix_time
from keyturn_cli.standin.request_body import RequestBody
from keyturn_cli.standin.store import STORE, page_response
from keyturn_cli.standin.vector_stores import files_of, put_file

_BATCH: Final = "vector store file batch"
_MEMBERS: Final = "members of a file batch"


async def create_batch(request: web.Request) -> web.StreamResponse:
    """Put the files that the request names into a vector store."""
    store_id = request.match_info["id"]
    file_ids = [str(file_id) for file_id in RequestBody.read(request).items("file_ids")]
    for file_id in file_ids:
        put_file(request, store_id, file_id, {})
    batch = {
        "id": new_id("vsfb_"),
        "object": "vector_store.files_batch",
        "created_at": unix_time(request),
        "vector_store_id": store_id,
        "status": "completed",
        "file_counts": {
            "in_progress": 0,
            "completed": len(file_ids),
            "failed": 0,
            "cancelled": 0,
            "total": len(file_ids),
        },
    }
    request.app[STORE].put(_MEMBERS, {"id": batch["id"], "file_ids": file_ids})
    return json_response(request.app[STORE].put(_BATCH, batch))


async def get_batch(request: web.Request) -> web.StreamResponse:
    """Answer with a batch, which was completed at once."""
    return json_response(request.app[STORE].get(_BATCH, request.match_info["batch"]))


async def list_files(request: web.Request) -> web.StreamResponse:
    """Answer with a page of the files of a batch."""
    members = request.app[STORE].get(_MEMBERS, request.match_info["batch"])["file_ids"]
    files = request.app[STORE].all(files_of(request.match_info["id"]))
    kept = members if isinstance(members, list) else []
    return page_response(request, [file for file in files if file["id"] in kept])


ROUTES: Final = (
    web.post("/v1/vector_stores/{id}/file_batches", create_batch),
    web.get("/v1/vector_stores/{id}/file_batches/{batch}", get_batch),
    web.post("/v1/vector_stores/{id}/file_batches/{batch}/cancel", get_batch),
    web.get("/v1/vector_stores/{id}/file_batches/{batch}/files", list_files),
)
