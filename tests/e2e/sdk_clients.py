"""The stock openai SDK, as an app has it: straight to the stand-in, or through a gateway."""

from __future__ import annotations

import ssl
from typing import Any, Final

import openai

from tests.e2e.clients import Clients
from tests.e2e.owners import OwnedKey

_CLIENT_SETTINGS: Final[dict[str, Any]] = {"max_retries": 0, "timeout": 15.0}


def settings_through(clients: Clients, key: str) -> dict[str, Any]:
    """Return what an SDK client needs to call the gateway as the demo app, for *key*."""
    return _CLIENT_SETTINGS | {
        "base_url": clients.env["KEYTURN_HTTP"] + "/v1",
        "api_key": clients.env["KEYTURN_APP_TOKEN"],
        "default_headers": {"X-Keyturn-Key": key},
    }


def settings_direct(clients: Clients, key: OwnedKey) -> dict[str, Any]:
    """Return what an SDK client needs to call the stand-in with the plaintext of *key*."""
    return _CLIENT_SETTINGS | {
        "base_url": f"http://127.0.0.1:{clients.stack.ports['openai-standin']}/v1",
        "api_key": key.api_key.expose().decode(),
    }


def sync_sdk(clients: Clients, settings: dict[str, Any]) -> openai.OpenAI:
    """Return the synchronous client with *settings*; close it."""
    http = openai.DefaultHttpxClient(verify=trust(clients), trust_env=False)
    return openai.OpenAI(**settings, http_client=http)


def async_sdk(clients: Clients, settings: dict[str, Any]) -> openai.AsyncOpenAI:
    """Return the asynchronous client with *settings*; close it."""
    http = openai.DefaultAsyncHttpxClient(verify=trust(clients), trust_env=False)
    return openai.AsyncOpenAI(**settings, http_client=http)


def trust(clients: Clients) -> ssl.SSLContext:
    """Return how clients check the gateway."""
    return ssl.create_default_context(cafile=clients.stack.layout.ca_file)
