"""What must exist at OpenAI before some calls of the SDK."""

from __future__ import annotations

import json
from typing import Any, cast

import openai

from tests.e2e.clients import new_request_id
from tests.e2e.sdk_call import Things
from tests.e2e.sdk_calls_of_media import CONTENT
from tests.e2e.sdk_calls_of_models import MODEL

_LINES = b"".join(json.dumps({"custom_id": str(number)}).encode() + b"\n" for number in range(3))
_PAGED = 5


def make_things(sdk: openai.OpenAI) -> Things:
    """Make what the calls look at and return the ids."""
    unique = new_request_id()
    purpose = cast("Any", f"of-{unique}")
    for number in range(_PAGED):
        sdk.files.create(file=(f"{number}.txt", b"paged"), purpose=purpose)
    lines = sdk.files.create(file=("lines.jsonl", _LINES), purpose="batch").id
    for _ in range(3):
        sdk.fine_tuning.jobs.create(
            model=MODEL, training_file=lines, metadata={"run": purpose, "\u00e4 &=[]": "\u00f6+"}
        )
    batch = sdk.batches.create(
        input_file_id=lines, endpoint="/v1/chat/completions", completion_window="24h"
    )
    sdk.batches.retrieve(batch.id)  # the first look completes it
    store = sdk.vector_stores.create(name="kept")
    sdk.vector_stores.files.create(store.id, file_id=lines)
    thread = sdk.beta.threads.create(messages=[{"role": "user", "content": "one two"}])
    return {
        "assistant": sdk.beta.assistants.create(model=MODEL).id,
        "batch": batch.id,
        "file": sdk.files.create(file=("kept.bin", CONTENT), purpose="user_data").id,
        "job": sdk.fine_tuning.jobs.create(model=MODEL, training_file=lines).id,
        "lines": lines,
        "purpose": purpose,
        "response": sdk.responses.create(model=MODEL, input="kept").id,
        "store": store.id,
        "thread": thread.id,
    }
