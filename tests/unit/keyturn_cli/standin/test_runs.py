from __future__ import annotations

from collections.abc import Callable

import openai
import pytest

_CheckShape = Callable[[openai.BaseModel], None]

# The SDK marks the Assistants API as deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


async def test_a_run_answers_the_last_message_and_states_its_usage(
    sdk: openai.AsyncOpenAI, check_shape: _CheckShape
) -> None:
    assistant = await sdk.beta.assistants.create(model="gpt-4o")
    thread = await sdk.beta.threads.create(messages=[{"role": "user", "content": "good morning"}])

    started = await sdk.beta.threads.runs.create(thread.id, assistant_id=assistant.id)
    run = await sdk.beta.threads.runs.poll(started.id, thread_id=thread.id)
    answer = (await sdk.beta.threads.messages.list(thread.id)).data[0]

    check_shape(started)
    check_shape(run)
    assert (started.status, run.status) == ("queued", "completed")
    assert run.usage is not None
    assert (run.usage.prompt_tokens, run.usage.completion_tokens) == (2, 4)
    assert answer.content[0].type == "text"
    assert answer.content[0].text.value == "You said: good morning"
    assert answer.run_id == run.id
    assert [listed.id async for listed in sdk.beta.threads.runs.list(thread.id)] == [run.id]


async def test_the_sdk_assembles_a_streamed_run(
    sdk: openai.AsyncOpenAI, check_shape: _CheckShape
) -> None:
    assistant = await sdk.beta.assistants.create(model="gpt-4o")
    stream = await sdk.beta.threads.create_and_run(
        assistant_id=assistant.id,
        thread={"messages": [{"role": "user", "content": "hi"}]},
        stream=True,
    )
    events = [event async for event in stream]

    for event in events:
        check_shape(event.data)
    assert [event.event for event in events] == [
        "thread.run.created",
        "thread.message.created",
        *["thread.message.delta"] * 3,
        "thread.message.completed",
        "thread.run.completed",
    ]


async def test_a_run_can_be_cancelled(sdk: openai.AsyncOpenAI) -> None:
    assistant = await sdk.beta.assistants.create(model="gpt-4o")
    run = await sdk.beta.threads.create_and_run(assistant_id=assistant.id)

    cancelled = await sdk.beta.threads.runs.cancel(run.id, thread_id=run.thread_id)

    assert (cancelled.status, cancelled.usage) == ("cancelled", None)
    steps = sdk.beta.threads.runs.steps.list(run.id, thread_id=run.thread_id)
    assert [step async for step in steps] == []
