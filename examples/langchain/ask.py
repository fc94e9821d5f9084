"""Ask with LangChain, whole and in pieces: `python ask.py "Say hello"`.

Reads KEYTURN_HTTP (the gateway's address), KEYTURN_CA (its CA, as a file), KEYTURN_KEY (the name of
the key to use) and the app's token: KEYTURN_APP_TOKEN_FILE, or else KEYTURN_APP_TOKEN.
"""

from __future__ import annotations

import os
import ssl
import sys
from pathlib import Path

import httpx
from langchain_openai import ChatOpenAI


def app_token() -> str:
    """Return the app's token. It is asked for before each request, so a renewed file is seen."""
    file = os.environ.get("KEYTURN_APP_TOKEN_FILE")
    return Path(file).read_text().strip() if file else os.environ["KEYTURN_APP_TOKEN"]


def main() -> None:
    """Ask the question of the command line twice: `invoke` and `stream`."""
    trust = ssl.create_default_context(cafile=os.environ["KEYTURN_CA"])
    with httpx.Client(verify=trust) as http_client:
        model = ChatOpenAI(
            model=os.environ.get("KEYTURN_MODEL", "gpt-4o-mini"),
            base_url=os.environ["KEYTURN_HTTP"] + "/v1",
            api_key=app_token,  # proves which app calls; an OpenAI key has no place here
            default_headers={"X-Keyturn-Key": os.environ["KEYTURN_KEY"]},
            http_client=http_client,  # ainvoke and astream take http_async_client
            max_retries=2,
            timeout=60.0,
        )
        question = " ".join(sys.argv[1:]) or "Say hello"
        print(model.invoke(question).text)
        for chunk in model.stream(question):
            print(chunk.text, end="", flush=True)
        print()


if __name__ == "__main__":
    main()
