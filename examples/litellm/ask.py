"""Ask with LiteLLM, whole and in pieces: `python ask.py "Say hello"`.

Reads KEYTURN_HTTP (the gateway's address), KEYTURN_CA (its CA, as a file), KEYTURN_KEY (the name of
the key to use) and the app's token: KEYTURN_APP_TOKEN_FILE, or else KEYTURN_APP_TOKEN.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

# LiteLLM's list of prices: the one that came with it, in place of a download at each import.
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")

import litellm


def app_token() -> str:
    """Return the app's token. It is read before each call, so that a renewed file is seen."""
    file = os.environ.get("KEYTURN_APP_TOKEN_FILE")
    return Path(file).read_text().strip() if file else os.environ["KEYTURN_APP_TOKEN"]


def ask(question: str, *, stream: bool = False) -> Any:  # noqa: ANN401 - as LiteLLM's own
    """Return LiteLLM's answer to *question*, or its stream."""
    return litellm.completion(
        model="openai/" + os.environ.get("KEYTURN_MODEL", "gpt-4o-mini"),
        messages=[{"role": "user", "content": question}],
        api_base=os.environ["KEYTURN_HTTP"] + "/v1",
        api_key=app_token(),  # proves which app calls; an OpenAI key has no place here
        extra_headers={"X-Keyturn-Key": os.environ["KEYTURN_KEY"]},
        stream=stream,
        max_retries=2,  # num_retries would come on top, and wait for no `retry-after`
        timeout=60.0,
    )


def main() -> None:
    """Ask the question of the command line, twice."""
    litellm.ssl_verify = os.environ["KEYTURN_CA"]
    question = " ".join(sys.argv[1:]) or "Say hello"
    print(ask(question).choices[0].message.content)
    for chunk in ask(question, stream=True):
        print(chunk.choices[0].delta.content or "", end="", flush=True)
    print()


if __name__ == "__main__":
    main()
