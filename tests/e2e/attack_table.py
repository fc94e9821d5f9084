"""What an attack is: who tries what, what they must hear, and where that must be recorded."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from keyturn.gateway.v1 import chat_completion_service_pb2 as chat_service_pb
from keyturn.gateway.v1.chat_completion_service_pb2_grpc import ChatCompletionServiceStub
from tests.e2e.asking import QUESTION
from tests.e2e.breaking import Verdict, verdict
from tests.e2e.clients import DEADLINE_SECONDS, Clients, metadata, parameters
from tests.e2e.owners import OwnedKey, Owner
from tests.live_files import whole_lines

GATEWAY = "gateway-svc"
KEY_SERVICE = "keyvault-svc"
BOTH = (GATEWAY, KEY_SERVICE)


class Threat(StrEnum):
    """What must be refused, as the document of attacks names it."""

    OTHER_APP = "another app's grant"
    OTHER_OWNER = "another owner's key"
    GATEWAY_AS_OWNER = "gateway's certificate at the owner port"
    OWNER_AS_GATEWAY = "owners and apps at the gateway port"
    FORGED = "forged token"
    EXPIRED = "expired token"
    AUDIENCE = "token for another audience"
    UNSIGNED = "token without signature"
    CONFUSED_KEY = "key confusion"
    CLOCK_SKEW = "clock skew"
    FORWARDED = "forwarded certificate"
    NAMES = "tricks with names"
    GATEWAY_CLAIMS = "compromised gateway"
    SETTLEMENT = "replayed settlement"
    TEAMS = "confused team membership"
    ROLES = "auditor or operator as owner"
    CEILING = "grant beyond a ceiling"
    SECOND_FACTOR = "stale second factor"
    ORACLE = "errors as an oracle"


@dataclass(frozen=True)
class Scene:
    """What an attack finds.

    Attributes:
        key: alice's, granted to the demo app.
        guarded: alice's, granted to the demo app and the other app, each with proof end to end.
        present: alice's, granted to the demo app while the owner is present.
        bob: A person who owns nothing of it.
        people: Others, by what they are.
        request_id: Of this one attempt.
    """

    clients: Clients
    key: OwnedKey
    guarded: OwnedKey
    present: OwnedKey
    bob: Owner
    people: Mapping[str, Owner]
    request_id: str = ""

    @property
    def keys(self) -> tuple[OwnedKey, ...]:
        """Every key that an attack may be after."""
        return (self.key, self.guarded, self.present)


@dataclass(frozen=True)
class Attack:
    """One row of the table.

    Attributes:
        make: Tries it under the scene's request id, and returns what was heard.
        heard: What must be heard: a code or status, and the reason.
        recorded_by: The services that must have a record of it, each with that reason.
    """

    threat: Threat
    name: str
    make: Callable[[Scene], Awaitable[Verdict]]
    heard: Verdict
    recorded_by: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.threat.value}: {self.name}"


def records_of(clients: Clients, request_id: str) -> list[tuple[str, str | None]]:
    """Return, sorted, which service recorded a call under *request_id*, and with which reason."""
    found: list[tuple[str, str | None]] = []
    for process in clients.stack.services:
        log = clients.stack.layout.logs_dir / f"{process}.log"
        if process.startswith(BOTH):
            service = process.removesuffix("-2")
            lines = _lines_with(whole_lines(log), request_id)
            found += [(service, line.get("reason")) for line in lines]
    return sorted(found, key=str)


def _lines_with(lines: Iterable[str], request_id: str) -> list[dict[str, str]]:
    entries = [json.loads(line) for line in lines if request_id in line]
    return [
        entry
        for entry in entries
        if entry["request_id"] == request_id and entry["event"] in {"rpc", "http"}
    ]


async def chat(
    scene: Scene, *more: tuple[str, str], key: str | None = None, app: str = "demo"
) -> Verdict:
    """Ask the gateway over gRPC, as *app*, by the scene's key unless *key* says otherwise."""
    async with scene.clients.gateway(app=app) as channel:
        call = ChatCompletionServiceStub(channel).CreateChatCompletion(
            chat_service_pb.CreateChatCompletionRequest(parameters=parameters()),
            timeout=DEADLINE_SECONDS,
            metadata=metadata(key or scene.key.name, scene.request_id, *more),
        )
        return await verdict(scene.clients, call)


async def chat_over_http(
    scene: Scene,
    headers: Mapping[str, str] | None = None,
    *,
    key: str | None = None,
    app: str | None = None,
    token: str | None = None,
) -> Verdict:
    """Ask the gateway over HTTP, with *app*'s certificate, a *token*, or neither."""
    entries = {**dict(metadata(key or scene.key.name, scene.request_id)), **(headers or {})}
    async with (
        scene.clients.http(app=app, token=token) as http,
        http.post("/v1/chat/completions", json=QUESTION, headers=entries) as response,
    ):
        answer = await response.json()
        scene.clients.keep(dict(response.headers), answer)
    return (response.status, None if response.ok else answer["error"]["code"])
