"""/v1/fine_tuning/jobs: each waits for ever, until it is cancelled."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from keyturn_cli.standin.answer import json_response, new_id
from keyturn_cli.standin.app_state import unix_time
from keyturn_cli.standin.request_body import RequestBody
from keyturn_cli.standin.store import STORE, has_metadata, page_response

_JOB: Final = "fine-tuning job"


async def create_job(request: web.Request) -> web.StreamResponse:
    """Take a job in."""
    body = RequestBody.read(request)
    job = {
        "id": new_id("ftjob-"),
        "object": "fine_tuning.job",
        "created_at": unix_time(request),
        "error": None,
        "fine_tuned_model": None,
        "finished_at": None,
        "hyperparameters": {
            "batch_size": "auto",
            "learning_rate_multiplier": "auto",
            "n_epochs": "auto",
        },
        "model": body.model(),
        "organization_id": "org-standin",
        "result_files": [],
        "seed": body.optional("seed") or 0,
        "status": "queued",
        "trained_tokens": None,
        "training_file": body.text("training_file"),
        "validation_file": body.optional("validation_file"),
        "estimated_finish": None,
        "integrations": [],
        "metadata": body.mapping("metadata") or None,
        "method": {"type": "supervised", "supervised": {"hyperparameters": {}}},
    }
    return json_response(request.app[STORE].put(_JOB, job))


async def list_jobs(request: web.Request) -> web.StreamResponse:
    """Answer with a page of the jobs that have the metadata that the query names."""
    jobs = request.app[STORE].all(_JOB)
    return page_response(request, [job for job in jobs if has_metadata(job, request.query)])


async def get_job(request: web.Request) -> web.StreamResponse:
    """Answer with a job."""
    return json_response(request.app[STORE].get(_JOB, request.match_info["id"]))


async def cancel_job(request: web.Request) -> web.StreamResponse:
    """Give a job up."""
    job = request.app[STORE].get(_JOB, request.match_info["id"])
    return json_response(request.app[STORE].put(_JOB, {**job, "status": "cancelled"}))


async def list_events(request: web.Request) -> web.StreamResponse:
    """Answer with what happened to a job: it was taken in."""
    job = request.app[STORE].get(_JOB, request.match_info["id"])
    event = {
        "id": f"ftevent-{job['id']}",
        "object": "fine_tuning.job.event",
        "created_at": job["created_at"],
        "level": "info",
        "message": f"Created fine-tuning job: {job['id']}",
        "data": {},
        "type": "message",
    }
    return page_response(request, [event])


async def list_checkpoints(request: web.Request) -> web.StreamResponse:
    """Answer with none, since no job ever gets anywhere."""
    request.app[STORE].get(_JOB, request.match_info["id"])
    return page_response(request, [])


ROUTES: Final = (
    web.post("/v1/fine_tuning/jobs", create_job),
    web.get("/v1/fine_tuning/jobs", list_jobs),
    web.get("/v1/fine_tuning/jobs/{id}", get_job),
    web.post("/v1/fine_tuning/jobs/{id}/cancel", cancel_job),
    web.get("/v1/fine_tuning/jobs/{id}/events", list_events),
    web.get("/v1/fine_tuning/jobs/{id}/checkpoints", list_checkpoints),
)
