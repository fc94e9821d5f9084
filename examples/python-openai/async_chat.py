"""Ask several questions at once: `python async_chat.py "Say one" "Say two"`."""

from __future__ import annotations

import asyncio
import os
import sys

from keyturn_client import new_async_client
from openai import AsyncOpenAI


async def ask(client: AsyncOpenAI, question: str) -> str:
    """Return the model's answer, put together from its stream."""
    pieces: list[str] = []
    stream = await client.chat.completions.create(
        model=os.environ.get("KEYTURN_MODEL", "gpt-4o-mini"),
        messages=[{"role": "user", "content": question}],
        stream=True,
    )
    async for chunk in stream:
        pieces += [choice.delta.content or "" for choice in chunk.choices]
    return "".join(pieces)


async def main() -> None:
    """Ask every question of the command line over one client, and print the answers in order."""
    async with new_async_client() as client:
        questions = sys.argv[1:] or ["Say one", "Say two"]
        for answer in await asyncio.gather(*(ask(client, question) for question in questions)):
            print(answer)


if __name__ == "__main__":
    asyncio.run(main())
