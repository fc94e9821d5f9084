"""Calls of the openai SDK about what OpenAI keeps: batches, vector stores, jobs and the like."""

from __future__ import annotations

from typing import Final

from tests.e2e.sdk_call import Sdk, SdkCalls, Things, all_of, given, within
from tests.e2e.sdk_calls_of_models import MODEL

JOB_CALLS: Final = SdkCalls()


@JOB_CALLS.giving(("validating", {"night": "7"}))
async def batches_create(sdk: Sdk, things: Things) -> object:
    batch = await given(
        sdk.batches.create(
            input_file_id=things["lines"],
            endpoint="/v1/chat/completions",
            completion_window="24h",
            metadata={"night": "7"},
        )
    )
    return batch.status, batch.metadata


@JOB_CALLS.giving(("completed", 3, 45))
async def batches_retrieve(sdk: Sdk, things: Things) -> object:
    batch = await given(sdk.batches.retrieve(things["batch"]))
    return batch.status, batch.request_counts.completed, batch.usage.total_tokens


@JOB_CALLS.giving(("list", 1))
async def batches_list(sdk: Sdk, _things: Things) -> object:
    page = await given(sdk.batches.list(limit=1))
    return page.object, len(page.data)


@JOB_CALLS.giving("cancelling")
async def batches_cancel(sdk: Sdk, things: Things) -> object:
    batch = await given(
        sdk.batches.create(
            input_file_id=things["lines"], endpoint="/v1/embeddings", completion_window="24h"
        )
    )
    return (await given(sdk.batches.cancel(batch.id))).status


@JOB_CALLS.giving(("queued", MODEL))
async def fine_tuning_create(sdk: Sdk, things: Things) -> object:
    job = await given(
        sdk.fine_tuning.jobs.create(
            model=MODEL, training_file=things["lines"], seed=3, suffix="till", metadata={"a": "b"}
        )
    )
    return job.status, job.model


@JOB_CALLS.giving(3)
async def fine_tuning_list(sdk: Sdk, things: Things) -> object:
    wanted = {"run": things["purpose"], "\u00e4 &=[]": "\u00f6+"}
    jobs = await all_of(sdk.fine_tuning.jobs.list(limit=2, metadata=wanted))
    return len({job.id for job in jobs})


@JOB_CALLS.giving("queued")
async def fine_tuning_retrieve(sdk: Sdk, things: Things) -> object:
    return (await given(sdk.fine_tuning.jobs.retrieve(things["job"]))).status


@JOB_CALLS.giving(["message"])
async def fine_tuning_list_events(sdk: Sdk, things: Things) -> object:
    events = await all_of(sdk.fine_tuning.jobs.list_events(things["job"], limit=5))
    return [event.type for event in events]


@JOB_CALLS.giving([])
async def fine_tuning_list_checkpoints(sdk: Sdk, things: Things) -> object:
    return await all_of(sdk.fine_tuning.jobs.checkpoints.list(things["job"], limit=5))


@JOB_CALLS.giving("cancelled")
async def fine_tuning_cancel(sdk: Sdk, things: Things) -> object:
    job = await given(sdk.fine_tuning.jobs.create(model=MODEL, training_file=things["lines"]))
    return (await given(sdk.fine_tuning.jobs.cancel(job.id))).status


@JOB_CALLS.giving(("manuals", "vector_store", "renamed", True))
async def vector_stores_create_update_delete(sdk: Sdk, _things: Things) -> object:
    made = await given(sdk.vector_stores.create(name="manuals", metadata={"a": "b"}))
    updated = await given(sdk.vector_stores.update(made.id, name="renamed"))
    deleted = await given(sdk.vector_stores.delete(made.id))
    return made.name, made.object, updated.name, deleted.deleted


@JOB_CALLS.giving((True, 1))
async def vector_stores_retrieve(sdk: Sdk, things: Things) -> object:
    store = await given(sdk.vector_stores.retrieve(things["store"]))
    return store.id == things["store"], store.file_counts.completed


@JOB_CALLS.giving(1)
async def vector_stores_list(sdk: Sdk, _things: Things) -> object:
    return len((await given(sdk.vector_stores.list(limit=1, order="asc"))).data)


@JOB_CALLS.giving([("lines.jsonl", 1.0)])
async def vector_stores_search(sdk: Sdk, things: Things) -> object:
    results = await all_of(
        sdk.vector_stores.search(things["store"], query=["one", "t\u00fcr"], max_num_results=3)
    )
    return [(result.filename, result.score) for result in results]


@JOB_CALLS.giving((True, "completed"))
async def vector_store_files_retrieve(sdk: Sdk, things: Things) -> object:
    file = await given(
        sdk.vector_stores.files.retrieve(things["lines"], vector_store_id=things["store"])
    )
    return file.id == things["lines"], file.status


@JOB_CALLS.giving(("completed", 1, True))
async def vector_store_files_create_list_delete(sdk: Sdk, things: Things) -> object:
    files = sdk.vector_stores.files
    store = await given(sdk.vector_stores.create(name="one file"))
    made = await given(
        files.create(store.id, file_id=things["lines"], attributes={"year": 2020.0, "new": True})
    )
    listed = await all_of(files.list(store.id, filter="completed"))
    deleted = await given(files.delete(things["lines"], vector_store_id=store.id))
    await given(sdk.vector_stores.delete(store.id))
    return made.status, len(listed), deleted.deleted


@JOB_CALLS.giving(("completed", 1))
async def vector_store_file_batches(sdk: Sdk, things: Things) -> object:
    batches = sdk.vector_stores.file_batches
    store = await given(sdk.vector_stores.create(name="a batch of files"))
    made = await given(batches.create_and_poll(store.id, file_ids=[things["lines"]]))
    listed = await all_of(batches.list_files(made.id, vector_store_id=store.id, limit=1))
    await given(sdk.vector_stores.delete(store.id))
    return made.status, len(listed)


@JOB_CALLS.giving((MODEL, "clerk", "Be kind.", True))
async def assistants_create_update_delete(sdk: Sdk, _things: Things) -> object:
    made = await given(
        sdk.beta.assistants.create(model=MODEL, name="clerk", tools=[{"type": "file_search"}])
    )
    updated = await given(sdk.beta.assistants.update(made.id, instructions="Be kind."))
    deleted = await given(sdk.beta.assistants.delete(made.id))
    return made.model, made.name, updated.instructions, deleted.deleted


@JOB_CALLS.giving((True, 1))
async def assistants_retrieve_and_list(sdk: Sdk, things: Things) -> object:
    one = await given(sdk.beta.assistants.retrieve(things["assistant"]))
    page = await given(sdk.beta.assistants.list(limit=1, order="asc"))
    return one.id == things["assistant"], len(page.data)


@JOB_CALLS.giving(("thread", {"a": "b"}, True))
async def threads_create_update_delete(sdk: Sdk, _things: Things) -> object:
    made = await given(sdk.beta.threads.create(messages=[{"role": "user", "content": "hi"}]))
    updated = await given(sdk.beta.threads.update(made.id, metadata={"a": "b"}))
    deleted = await given(sdk.beta.threads.delete(made.id))
    return made.object, updated.metadata, deleted.deleted


@JOB_CALLS.giving((True, ["one two"]))
async def threads_retrieve_with_messages(sdk: Sdk, things: Things) -> object:
    thread = await given(sdk.beta.threads.retrieve(things["thread"]))
    messages = await all_of(sdk.beta.threads.messages.list(thread.id, order="asc", limit=1))
    users = [message for message in messages if message.role == "user"]
    return thread.id == things["thread"], [message.content[0].text.value for message in users]


@JOB_CALLS.giving(("user", True))
async def messages_create_and_delete(sdk: Sdk, things: Things) -> object:
    messages = sdk.beta.threads.messages
    made = await given(messages.create(things["thread"], role="user", content="for a while"))
    deleted = await given(messages.delete(made.id, thread_id=things["thread"]))
    return made.role, deleted.deleted


@JOB_CALLS.giving(("completed", "cancelled", 0))
async def runs(sdk: Sdk, things: Things) -> object:
    all_runs = sdk.beta.threads.runs
    thread = await given(sdk.beta.threads.create(messages=[{"role": "user", "content": "hi"}]))
    made = await given(
        all_runs.create(
            thread.id,
            assistant_id=things["assistant"],
            include=["step_details.tool_calls[*].file_search.results[*].content"],
        )
    )
    ended = await given(all_runs.retrieve(made.id, thread_id=thread.id))
    steps = await all_of(all_runs.steps.list(made.id, thread_id=thread.id, limit=3))
    cancelled = await given(all_runs.cancel(made.id, thread_id=thread.id))
    return ended.status, cancelled.status, len(steps)


@JOB_CALLS.giving(("You said: one two", "done"))
async def runs_stream(sdk: Sdk, things: Things) -> object:
    streaming = sdk.beta.threads.create_and_run_stream(
        assistant_id=things["assistant"],
        thread={"messages": [{"role": "user", "content": "one two"}]},
    )
    async with within(streaming) as stream:
        events = await all_of(stream)
    deltas = [e.data.delta.content for e in events if e.event == "thread.message.delta"]
    text = "".join(part.text.value for parts in deltas for part in parts)
    return text, "done" if events[-1].event == "thread.run.completed" else events[-1].event
