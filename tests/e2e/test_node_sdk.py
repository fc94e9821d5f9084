"""OpenAI's SDK for Node, unmodified, over its resources."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from tests.e2e.clients import Clients
from tests.e2e.evidence import upstream_requests
from tests.e2e.example_programs import Examples
from tests.e2e.owners import OwnedKey, give_key

pytestmark = pytest.mark.node

PROGRAM = "node-openai/../../tests/e2e/node/resources.js"
GIVES = {
    "chat": ["You said: one two", True],
    "chat_stream": "You said: one two",
    "chat_raw": [200, "chat.completion"],
    "responses": ["You said: one two", True, "response.completed"],
    "embeddings": [3, 3],
    "moderations": 1,
    "models": [True, True],
    "files": ["h\u00f6ren.bin", True, True],
    "images": [2, 1],
    "audio": ["You sent 10000 bytes.", 8192],
    "batches": ["validating", "completed", 1],
    "vector_stores": ["completed", "manual.txt", True],
    "fine_tuning": ["queued", 1, "cancelled"],
    "assistants": ["completed", True, True],
    "realtime": ["session.created", 6],
    "refusal": ["PermissionDeniedError", 403, "NOT_GRANTED"],
}


@pytest.fixture(scope="module")
def key(clients: Clients) -> OwnedKey:
    """A key that works, granted to the demo app without limits."""
    return asyncio.run(give_key(clients, "node"))


async def test_the_sdk_for_node_is_served_over_its_resources(
    clients: Clients, key: OwnedKey, tmp_path: Path
) -> None:
    programs = Examples(clients, tmp_path)

    ended = await programs.run(
        key, PROGRAM, NODE_EXTRA_CA_CERTS=clients.stack.layout.ca_file, NODE_NO_WARNINGS="1"
    )

    assert (ended.code, ended.complaint) == (0, "")
    assert json.loads(ended.printed) == GIVES
    beta = [r.headers.get("openai-beta") for r in upstream_requests(clients, key.api_key)]
    assert "assistants=v2" in beta
