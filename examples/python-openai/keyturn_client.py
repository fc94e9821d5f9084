"""The openai SDK's clients, pointed at Keyturn. Copy this file into your app.

Reads KEYTURN_HTTP (the gateway's address), KEYTURN_CA (its CA, as a file), KEYTURN_KEY (the name of
the key to use) and the app's token: KEYTURN_APP_TOKEN_FILE, or else KEYTURN_APP_TOKEN.
"""

from __future__ import annotations

import os
import ssl
from pathlib import Path

from openai import AsyncOpenAI, DefaultAsyncHttpxClient, DefaultHttpxClient, OpenAI


def app_token() -> str:
    """Return the app's token. The SDK asks before each request, so a renewed file is picked up."""
    file = os.environ.get("KEYTURN_APP_TOKEN_FILE")
    return Path(file).read_text().strip() if file else os.environ["KEYTURN_APP_TOKEN"]


def new_client() -> OpenAI:
    """Return a client that is OpenAI's in all but address, token and key name."""
    return OpenAI(
        base_url=os.environ["KEYTURN_HTTP"] + "/v1",
        api_key=app_token,  # proves which app calls; an OpenAI key has no place here
        default_headers={"X-Keyturn-Key": os.environ["KEYTURN_KEY"]},
        http_client=DefaultHttpxClient(verify=_trust()),
    )


def new_async_client() -> AsyncOpenAI:
    """Return the asynchronous twin of `new_client`."""

    async def token() -> str:
        return app_token()

    return AsyncOpenAI(
        base_url=os.environ["KEYTURN_HTTP"] + "/v1",
        api_key=token,
        default_headers={"X-Keyturn-Key": os.environ["KEYTURN_KEY"]},
        http_client=DefaultAsyncHttpxClient(verify=_trust()),
    )


def _trust() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=os.environ["KEYTURN_CA"])
