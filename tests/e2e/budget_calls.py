"""Many calls at once against one budget, as apps make them, and what the store says of it after."""

from __future__ import annotations

import asyncio
import itertools
import math
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from functools import partial

import httpx2
import openai

from tests.e2e.asking import SERVED
from tests.e2e.breaking import until
from tests.e2e.clients import Clients
from tests.e2e.sdk_clients import trust

MODEL = "gpt-4o-mini"
# A token has two bytes, so that a good part of what is reserved is used.
PROMPT = " ".join(["a"] * 200)
MAX_ANSWER_TOKENS = 5
STREAM_TOKENS = 200 + MAX_ANSWER_TOKENS
GATEWAYS = (1, 2)

_USD_PER_MILLION = (Decimal("0.15"), Decimal("0.60"))  # of a prompt's and an answer's tokens
_SECONDS = 60.0
_POLL_SECONDS = 0.05
_NEAR_MIDNIGHT = timedelta(seconds=90)


@dataclass(frozen=True)
class Answer:
    """What became of one call, as the openai SDK tells it.

    Attributes:
        reason: `SERVED`, or the error's code.
        tokens: What OpenAI says that it took.
        micro_usd: What that costs.
        remaining: What the receipt says is left, by the header's last word; USD in millionths.
    """

    reason: str
    tokens: int = 0
    micro_usd: int = 0
    remaining: dict[str, int] = field(default_factory=dict)


@asynccontextmanager
async def apps(
    clients: Clients, *, app: str | None = None, gateways: Sequence[int] = GATEWAYS
) -> AsyncIterator[list[openai.AsyncOpenAI]]:
    """Open an SDK client of each gateway, with the demo app's token or *app*'s certificate."""

    async def without_token(request: httpx2.Request) -> None:
        del request.headers["authorization"]

    async with AsyncExitStack() as opened:
        found = []
        for gateway in gateways:
            tls = trust(clients)
            if app is not None:
                tls.load_cert_chain(*clients.stack.layout.certificate(f"app-{app}"))
            http = openai.DefaultAsyncHttpxClient(
                verify=tls,
                trust_env=False,
                limits=httpx2.Limits(max_connections=200),
                event_hooks={"request": [without_token]} if app is not None else {},
            )
            client = openai.AsyncOpenAI(
                base_url=f"https://127.0.0.1:{clients.port('gateway', 'http', gateway)}/v1",
                api_key=clients.env["KEYTURN_APP_TOKEN"],
                max_retries=0,
                timeout=_SECONDS,
                http_client=http,
            )
            found.append(await opened.enter_async_context(client))
        yield found


async def ask(
    client: openai.AsyncOpenAI, key: str, *, max_tokens: int = MAX_ANSWER_TOKENS
) -> Answer:
    """Ask once, by *key*."""
    try:
        raw = await client.chat.completions.with_raw_response.create(
            model=MODEL,
            messages=[{"role": "user", "content": PROMPT}],
            max_completion_tokens=max_tokens,
            extra_headers={"x-keyturn-key": key},
        )
    except openai.APIStatusError as error:
        return Answer(str(error.code))
    except openai.APIConnectionError:
        return Answer("UNREACHABLE")
    usage = raw.parse().usage
    assert usage is not None
    return Answer(
        SERVED,
        usage.total_tokens,
        _cost(usage.prompt_tokens, usage.completion_tokens),
        {
            name.removeprefix("x-keyturn-remaining-"): _count(name, value)
            for name, value in raw.headers.items()
            if name.startswith("x-keyturn-remaining-")
        },
    )


async def until_served(found: Sequence[openai.AsyncOpenAI], key: str) -> None:
    """Wait until each of the clients is served.

    Raises:
        TimeoutError: It is not.
    """
    for client in found:
        await until(partial(ask, client, key), lambda answer: answer.reason == SERVED)


async def stream(client: openai.AsyncOpenAI, key: str) -> str:
    """Ask for a stream that waits for the stand-in's brake; return `SERVED`, or what broke it."""
    try:
        events = await client.chat.completions.create(
            model=f"{MODEL}-paced",
            messages=[{"role": "user", "content": PROMPT}],
            max_completion_tokens=MAX_ANSWER_TOKENS,
            stream=True,
            extra_headers={"x-keyturn-key": key},
        )
        async for _ in events:
            pass
    except openai.APIStatusError as error:
        return str(error.code)
    except (openai.APIConnectionError, httpx2.TransportError):
        return "BROKEN_OFF"
    return SERVED


async def burst(
    found: Sequence[openai.AsyncOpenAI], keys: Sequence[str], count: int
) -> list[Answer]:
    """Ask *count* times at once, by each client and each of *keys* in turn."""
    turns = itertools.cycle(itertools.product(keys, found))
    return await asyncio.gather(
        *(ask(client, key) for key, client in itertools.islice(turns, count))
    )


def served(answers: Sequence[Answer]) -> list[Answer]:
    """Return those that were served."""
    return [answer for answer in answers if answer.reason == SERVED]


def refusals(answers: Sequence[Answer]) -> set[str]:
    """Return why others were not."""
    return {answer.reason for answer in answers} - {SERVED}


def _cost(prompt_tokens: int, answer_tokens: int) -> int:
    prompt, answer = _USD_PER_MILLION
    return math.ceil(prompt_tokens * prompt + answer_tokens * answer)


def _count(name: str, value: str) -> int:
    return int(Decimal(value) * 1_000_000) if name.endswith("-usd") else int(value)
