from __future__ import annotations

from collections.abc import Callable

import openai

_CheckShape = Callable[[openai.BaseModel], None]


async def test_a_job_is_taken_in_found_and_cancelled(
    sdk: openai.AsyncOpenAI, check_shape: _CheckShape
) -> None:
    job = await sdk.fine_tuning.jobs.create(
        model="gpt-4o-mini", training_file="file-1", metadata={"a": "b"}, seed=0
    )
    events = await sdk.fine_tuning.jobs.list_events(job.id)

    check_shape(job)
    check_shape(events.data[0])
    assert await sdk.fine_tuning.jobs.retrieve(job.id) == job
    assert (await sdk.fine_tuning.jobs.cancel(job.id)).status == "cancelled"
    assert [kept async for kept in sdk.fine_tuning.jobs.checkpoints.list(job.id)] == []


async def test_jobs_are_listed_by_page_and_by_metadata(sdk: openai.AsyncOpenAI) -> None:
    made = [
        (
            await sdk.fine_tuning.jobs.create(
                model="gpt-4o-mini", training_file="file-1", metadata={"team": team, "n": "1"}
            )
        ).id
        for team in ("payments", "ads", "payments")
    ]

    paged = [job.id async for job in sdk.fine_tuning.jobs.list(limit=1)]
    after = await sdk.fine_tuning.jobs.list(after=made[2], limit=1)
    of_payments = await sdk.fine_tuning.jobs.list(metadata={"team": "payments", "n": "1"})

    assert paged == made[::-1]
    assert [job.id for job in after.data] == [made[1]]
    assert [job.id for job in of_payments.data] == [made[2], made[0]]
