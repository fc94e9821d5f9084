"""HTTP to an OIDC issuer: HTTPS only, no redirects, bounded answers, no text of the issuer's."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp

from keyturn_cli.command_error import CommandError
from keyturn_cli.exit_codes import ExitCode

OK: Final = 200
_SERVER_ERROR: Final = 500
_TOO_MANY: Final = 429
_MAX_ANSWER_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class IssuerAnswer:
    """An answer of the issuer. It can hold tokens: never print it.

    Attributes:
        document: The JSON object of the body; empty when the body is none.
    """

    status: int
    document: Mapping[str, Any]

    @property
    def is_outage(self) -> bool:
        """Whether it says that the issuer cannot serve now."""
        return self.status >= _SERVER_ERROR or self.status == _TOO_MANY

    def text(self, name: str) -> str:
        """Return the text *name* of the document; empty when it has none."""
        value = self.document.get(name)
        return value if isinstance(value, str) else ""


class IssuerUnreachableError(CommandError):
    """The issuer does not answer, or not in time."""


class IssuerHTTP:
    """The issuer's HTTP endpoints."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def get(self, url: str) -> IssuerAnswer:
        """Get *url* and return the answer, whatever its status.

        Raises:
            CommandError: The URL is none for secrets, or the certificate is not trusted.
            IssuerUnreachableError: There is no answer.
        """
        return await self._request("GET", url, None, {})

    async def post(
        self, url: str, form: Mapping[str, str], headers: Mapping[str, str] | None = None
    ) -> IssuerAnswer:
        """Post *form* to *url* and return the answer, whatever its status.

        Raises:
            CommandError: As in `get`.
            IssuerUnreachableError: As in `get`.
        """
        return await self._request("POST", url, form, headers or {})

    async def _request(
        self, method: str, url: str, form: Mapping[str, str] | None, headers: Mapping[str, str]
    ) -> IssuerAnswer:
        host = _host_of(url)
        try:
            async with self._session.request(
                method,
                url,
                data=form,
                headers={"Accept": "application/json", **headers},
                allow_redirects=False,
            ) as response:
                return IssuerAnswer(response.status, _document(await _body(response)))
        except aiohttp.ClientConnectorCertificateError:
            failure = CommandError(
                f"The certificate of {host} is not trusted.",
                ExitCode.USAGE,
                hint="KEYTURN_OIDC_CA names the issuer's CA where it is not a public one.",
            )
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            failure = IssuerUnreachableError(
                f"{host} does not answer.",
                ExitCode.UNAVAILABLE,
                hint="Check KEYTURN_OIDC_ISSUER and your network, then try again.",
            )
        raise failure  # outside the except block: aiohttp's errors hold the request


@asynccontextmanager
async def issuer_http(ca_file: Path | None, timeout_seconds: float) -> AsyncIterator[IssuerHTTP]:
    """Make ready to call an issuer whose certificate *ca_file*, or else the system, trusts.

    Raises:
        CommandError: *ca_file* is none.
    """
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise CommandError(
            "KEYTURN_OIDC_CA names a file that holds no PEM certificate.", ExitCode.USAGE
        ) from error
    connector = aiohttp.TCPConnector(ssl=context)
    timeout = aiohttp.ClientTimeout(total=timeout_seconds)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        yield IssuerHTTP(session)


def _host_of(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme != "https" or not parts.hostname:
        raise CommandError(
            "The issuer names an address that is not https://, which must not see a login.",
            ExitCode.USAGE,
        )
    return f"The issuer at {parts.netloc.rpartition('@')[2]}"


async def _body(response: aiohttp.ClientResponse) -> bytes:
    """Return the body; nothing of one that is far too long."""
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > _MAX_ANSWER_BYTES:
            return b""
    return bytes(body)


def _document(raw: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
