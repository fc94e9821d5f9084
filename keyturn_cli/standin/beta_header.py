"""The header without which OpenAI does not serve the Assistants API."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from keyturn_cli.standin.errors import missing_beta

_HEADER: Final = "openai-beta"
_VERSION: Final = "assistants=v2"


def refuse_without_beta(request: web.Request) -> None:
    """Let *request* pass if it names the version of the Assistants API.

    Raises:
        ApiError: It does not.
    """
    named = ",".join(request.headers.getall(_HEADER, [])).replace(" ", "").split(",")
    if _VERSION not in named:
        raise missing_beta()
