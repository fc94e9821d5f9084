"""Requests for grants as documents with stable names, and as rows and lines for people."""

from __future__ import annotations

from datetime import datetime
from typing import Final, TypedDict

from keyturn.keyvault.v1 import grant_request_service_pb2 as request_pb
from keyturn_cli.record_views import (
    GRANT_COLUMNS,
    GrantDocument,
    for_people,
    grant_document,
    grant_row,
    iso_time,
)

REQUEST_COLUMNS: Final = ("name", "state", "app", "from", "asked", "reason")

_STATE_PREFIX: Final = "GRANT_REQUEST_STATE_"
_OF_GRANTS: Final = ("name", "state")  # not of what is only asked for


class RequestDocument(TypedDict):
    """A request for a grant, for programs. `state` is `open`, `approved` or `declined`."""

    name: str
    state: str
    grant: GrantDocument
    reason: str
    requester: str
    create_time: str | None
    decide_time: str | None
    decider: str | None
    answer: str | None
    granted: str | None


def request_document(request: request_pb.GrantRequest, now: datetime) -> RequestDocument:
    """Return *request*, as it stands at *now*, for programs."""
    return RequestDocument(
        name=request.name,
        state=request_pb.GrantRequestState.Name(request.state).removeprefix(_STATE_PREFIX).lower(),
        grant=grant_document(request.grant, now),
        reason=request.reason,
        requester=request.requester,
        create_time=iso_time(request.create_time) if request.HasField("create_time") else None,
        decide_time=iso_time(request.decide_time) if request.HasField("decide_time") else None,
        decider=request.decider or None,
        answer=request.answer or None,
        granted=request.granted or None,
    )


def request_row(request: RequestDocument) -> list[str]:
    """Return *request* as a row under `REQUEST_COLUMNS`."""
    return [
        request["name"],
        request["state"],
        request["grant"]["app"],
        request["requester"],
        for_people(request["create_time"]),
        request["reason"],
    ]


def request_fields(request: RequestDocument) -> list[tuple[str, str]]:
    """Return all of *request* for people."""
    asked = zip(GRANT_COLUMNS, grant_row(request["grant"]), strict=True)
    fields = [
        ("name", request["name"]),
        ("state", _state_words(request)),
        ("from", request["requester"]),
        ("asked", for_people(request["create_time"])),
        ("reason", request["reason"]),
        *((name, value) for name, value in asked if name not in _OF_GRANTS),
    ]
    if request["state"] != "open":
        fields += [
            ("decided", f"{for_people(request['decide_time'])} by {request['decider']}"),
            ("answer", request["answer"] or ""),
            ("grant", request["granted"] or ""),
        ]
    return fields


def _state_words(request: RequestDocument) -> str:
    if request["state"] == "approved" and not request["granted"]:
        return "approved, but its grant was not made: approve it once more"
    return request["state"]
