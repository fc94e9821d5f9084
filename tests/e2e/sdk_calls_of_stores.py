"""Calls of the openai SDK about stored chats, conversations, containers and evaluations."""

from __future__ import annotations

from typing import Any, Final

from tests.e2e.sdk_call import Sdk, SdkCalls, Things, all_of, given
from tests.e2e.sdk_calls_of_media import CONTENT
from tests.e2e.sdk_calls_of_models import MESSAGES, MODEL

STORE_CALLS: Final = SdkCalls()
_CRITERIA: Final[list[dict[str, Any]]] = [
    {
        "type": "string_check",
        "name": "thanks",
        "input": "{{ sample.output_text }}",
        "operation": "like",
        "reference": "thank",
    }
]


@STORE_CALLS.giving((2, ["Be brief.", "one two"], {"c": "d"}, True))
async def chats_stored(sdk: Sdk, things: Things) -> object:
    chats = sdk.chat.completions
    wanted = {"run": things["purpose"], "\u00e4 &=[]": "\u00f6+"}
    asked = {"model": MODEL, "messages": MESSAGES, "store": True, "metadata": wanted}
    made = [await given(chats.create(**asked)) for _ in range(2)]
    listed = await all_of(chats.list(model=MODEL, metadata=wanted, limit=1))
    messages = await all_of(chats.messages.list(made[0].id, order="asc", limit=1))
    updated = await given(chats.update(made[0].id, metadata={"c": "d"}))
    deleted = [await given(chats.delete(chat.id)) for chat in made]
    texts = [message.content for message in messages]
    return len(listed), texts, updated.metadata, all(gone.deleted for gone in deleted)


@STORE_CALLS.giving(("conversation", {"c": "d"}, True))
async def conversations_create_update_delete(sdk: Sdk, _things: Things) -> object:
    made = await given(sdk.conversations.create(metadata={"a": "b"}))
    updated = await given(sdk.conversations.update(made.id, metadata={"c": "d"}))
    deleted = await given(sdk.conversations.delete(made.id))
    return made.object, updated.metadata, deleted.deleted


@STORE_CALLS.giving((1, ["first", "second"]))
async def conversations_items(sdk: Sdk, _things: Things) -> object:
    items = sdk.conversations.items
    kept = await given(sdk.conversations.create(items=[{"role": "user", "content": "first"}]))
    made = await given(
        items.create(
            kept.id,
            items=[{"role": "user", "content": "second"}],
            include=["message.input_image.image_url", "file_search_call.results"],
        )
    )
    listed = await all_of(items.list(kept.id, limit=1, order="asc", include=["reasoning"]))
    return len(made.data), [item.content[0].text for item in listed]


@STORE_CALLS.giving(("box", "running", "box"))
async def containers_create_and_retrieve(sdk: Sdk, _things: Things) -> object:
    made = await given(
        sdk.containers.create(name="box", expires_after={"anchor": "last_active_at", "minutes": 9})
    )
    found = await given(sdk.containers.retrieve(made.id))
    await given(sdk.containers.delete(made.id))
    return made.name, made.status, found.name


@STORE_CALLS.giving(("/mnt/data/in.bin", CONTENT, 2))
async def containers_files(sdk: Sdk, things: Things) -> object:
    files = sdk.containers.files
    container = await given(sdk.containers.create(name="box of files"))
    sent = await given(files.create(container.id, file=("in.bin", CONTENT)))
    await given(files.create(container.id, file_id=things["file"]))
    content = await given(files.content.retrieve(sent.id, container_id=container.id))
    listed = await all_of(files.list(container.id, limit=1))
    await given(files.delete(sent.id, container_id=container.id))
    return sent.path, content.content, len(listed)


@STORE_CALLS.giving(("polite?", "thanks", "kind?", True))
async def evals_create_update_delete(sdk: Sdk, _things: Things) -> object:
    made = await given(
        sdk.evals.create(
            name="polite?",
            data_source_config={"type": "logs", "metadata": {"a": "b"}},
            testing_criteria=_CRITERIA,
        )
    )
    updated = await given(sdk.evals.update(made.id, name="kind?"))
    await given(sdk.evals.list(limit=1, order_by="updated_at"))
    deleted = await given(sdk.evals.delete(made.id))
    return made.name, made.testing_criteria[0].name, updated.name, deleted.deleted
