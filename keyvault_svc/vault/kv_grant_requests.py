"""The requests for grants on KV: one document for each owner."""

from __future__ import annotations

import json
from typing import Final, Literal

from pydantic import AwareDatetime, ValidationError

from keyvault_svc.domain.errors import KeyRecordUnreadableError
from keyvault_svc.domain.grant import Grant
from keyvault_svc.domain.grant_requests import GrantRequest, GrantRequests, GrantRequestState
from keyvault_svc.domain.names import KeyName, OwnerName
from keyvault_svc.domain.ports import AuditTags
from keyvault_svc.vault.audit_headers import headers_for
from keyvault_svc.vault.grant_format import (
    Stored,
    StoredGrant,
    grant_from_stored,
    grant_to_stored,
    text_of,
)
from keyvault_svc.vault.kv_documents import Document, KvDocuments
from keyvault_svc.vault.paths import grant_requests_path
from svc_runtime.service_error import InvalidFieldError

_SCHEMA: Final = 1


class _StoredRequest(Stored):
    key: str
    grant: StoredGrant
    reason: str
    state: GrantRequestState
    decide_time: AwareDatetime | None
    decider: str
    answer: str
    granted: str


class _StoredRequests(Stored):
    schema_version: Literal[1]
    requests: list[_StoredRequest]


class KvGrantRequests:
    """`GrantRequestStore` on KV. Nobody learns from a path's name who owns what."""

    def __init__(self, documents: KvDocuments) -> None:
        self._documents = documents

    async def read(self, owner: OwnerName, tags: AuditTags) -> GrantRequests:
        """Return the requests to *owner*; none while nothing is stored."""
        stored = await self._documents.read(grant_requests_path(owner), headers_for(tags))
        return GrantRequests(owner) if stored is None else _from_stored(owner, stored)

    async def write(self, requests: GrantRequests, tags: AuditTags) -> None:
        """Store *requests* by check-and-set, and destroy what was stored before."""
        path, headers = grant_requests_path(requests.owner), headers_for(tags)
        revision = await self._documents.write(
            path, _to_stored(requests), requests.revision, headers
        )
        await self._documents.destroy_before(path, revision, headers)

    async def remove(self, owner: OwnerName, tags: AuditTags) -> None:
        """Destroy all requests to *owner*, and see that they are gone."""
        await self._documents.delete(grant_requests_path(owner), headers_for(tags))


def _to_stored(requests: GrantRequests) -> str:
    return json.dumps(
        {
            "schema_version": _SCHEMA,
            "requests": [
                {
                    "key": str(request.key),
                    # What is asked for is written as the grant that it may become.
                    "grant": grant_to_stored(
                        Grant(
                            request.request_id,
                            request.terms,
                            request.create_time,
                            request.requester,
                        )
                    ),
                    "reason": request.reason,
                    "state": request.state.value,
                    "decide_time": text_of(request.decide_time),
                    "decider": request.decider,
                    "answer": request.answer,
                    "granted": request.grant_id,
                }
                for request in requests.requests
            ],
        },
        ensure_ascii=False,
    )


def _from_stored(owner: OwnerName, stored: Document) -> GrantRequests:
    """Return the requests to *owner* that *stored* describes.

    Raises:
        KeyRecordUnreadableError: It describes none that this version understands in whole.
    """
    try:
        fields = _StoredRequests.model_validate_json(stored.text)
        return GrantRequests(
            owner, tuple(_request(request) for request in fields.requests), stored.revision
        )
    except (ValidationError, InvalidFieldError, ValueError):
        pass
    raise KeyRecordUnreadableError


def _request(stored: _StoredRequest) -> GrantRequest:
    asked = grant_from_stored(stored.grant)
    return GrantRequest(
        asked.grant_id,
        KeyName.parse(stored.key, "key"),
        asked.terms,
        stored.reason,
        asked.creator,
        asked.create_time,
        stored.state,
        stored.decide_time,
        stored.decider,
        stored.answer,
        stored.granted,
    )
