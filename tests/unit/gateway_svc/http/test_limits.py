"""What the openai SDK makes of limits, over real connections."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import openai
import pytest

from gateway_svc.domain.errors import (
    AppProofRequiredError,
    BudgetSpentError,
    LimitStoreUnavailableError,
    ModelPriceUnknownError,
    OwnerNotPresentError,
    RateLimitedError,
    SuspendedError,
    TokenBoundRequiredError,
)
from gateway_svc.domain.lease_ports import Remaining
from gateway_svc.domain.reached_limit import ReachedLimit
from svc_runtime.service_error import ServiceError
from tests.unit.gateway_svc.http.http_site import Site
from tests.unit.gateway_svc.relay_stage import LEASE

RATE = ReachedLimit("grant", "tokens_per_minute", 60, 7)
BUDGET = ReachedLimit("key", "usd_per_day", 5_000_000, 120)


@asynccontextmanager
async def _sdk(site: Site, max_retries: int) -> AsyncIterator[openai.AsyncOpenAI]:
    http = openai.DefaultAsyncHttpxClient(verify=site.tls, trust_env=False)
    async with openai.AsyncOpenAI(
        base_url=f"{site.url}/v1",
        api_key="placeholder",
        http_client=http,
        max_retries=max_retries,
    ) as sdk:
        yield sdk


async def _refusal(site: Site, max_retries: int = 2) -> openai.APIStatusError:
    async with _sdk(site, max_retries) as sdk:
        with pytest.raises(openai.APIStatusError) as caught:
            await sdk.chat.completions.create(model="m", messages=[], max_completion_tokens=5)
    return caught.value


async def test_the_sdk_retries_a_full_rate_limit_after_the_time_that_it_is_told(
    serving: Callable[..., Any],
) -> None:
    async with serving(lease=RateLimitedError(RATE, 0.001)) as site:
        error = await _refusal(site)

    assert isinstance(error, openai.RateLimitError)
    assert (error.code, error.type) == ("RATE_LIMITED", "tokens")
    assert RATE.text in error.message
    assert error.response.headers["retry-after-ms"] == "1"
    assert len(site.stage.leaser.requests) == 3


async def test_the_sdk_does_not_retry_a_spent_budget(serving: Callable[..., Any]) -> None:
    async with serving(lease=BudgetSpentError(BUDGET)) as site:
        error = await _refusal(site)

    assert isinstance(error, openai.RateLimitError)
    assert (error.code, error.type) == ("BUDGET_SPENT", "insufficient_quota")
    assert BUDGET.text in error.message
    assert len(site.stage.leaser.requests) == 1


@pytest.mark.parametrize(
    ("refusal", "expected"),
    [
        (SuspendedError(), openai.PermissionDeniedError),
        (ModelPriceUnknownError(), openai.PermissionDeniedError),
        (OwnerNotPresentError(), openai.PermissionDeniedError),
        (TokenBoundRequiredError(), openai.BadRequestError),
        (AppProofRequiredError(), openai.AuthenticationError),
        (LimitStoreUnavailableError(), openai.InternalServerError),
    ],
)
async def test_the_sdk_raises_what_fits_the_refusal(
    serving: Callable[..., Any], refusal: ServiceError, expected: type[openai.APIStatusError]
) -> None:
    async with serving(lease=refusal) as site:
        error = await _refusal(site, max_retries=0)

    assert (type(error), error.code) == (expected, refusal.reason)


async def test_an_answer_says_what_is_left(serving: Callable[..., Any]) -> None:
    lease = replace(LEASE, remaining=Remaining(59, None, 4_999_880))
    async with serving(lease=lease) as site, _sdk(site, 0) as sdk:
        raw = await sdk.chat.completions.with_raw_response.create(model="m", messages=[])

    left = {name: value for name, value in raw.headers.items() if "remaining" in name}
    assert left == {"x-keyturn-remaining-requests": "59", "x-keyturn-remaining-usd": "4.99988"}
