"""The few HTTP calls that the command makes to Vault itself."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from keyturn_cli.client_settings import ClientSettings
from keyturn_cli.command_error import CommandError
from keyturn_cli.exit_codes import ExitCode
from svc_runtime.secret_bytes import SecretBytes

_MAX_ANSWER_BYTES: Final = 1024 * 1024
_DOCTOR: Final = "Run `keyturn doctor`."


@dataclass(frozen=True, slots=True)
class VaultAnswer:
    """An answer of Vault. It can hold a token: never print it.

    Attributes:
        document: The JSON object of the body; empty when the body is none.
        date: The `Date` header, empty when absent.
    """

    status: int
    document: Mapping[str, Any]
    date: str


class VaultHTTP:
    """Vault's HTTP API at one address."""

    def __init__(self, session: aiohttp.ClientSession, address: str) -> None:
        self._session = session
        self._address = address.rstrip("/")

    async def call(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, object] | None = None,
        token: SecretBytes | None = None,
    ) -> VaultAnswer:
        """Call *path*, what follows `/v1/`, and return the answer, whatever its status.

        Raises:
            CommandError: Vault cannot be reached, or its certificate is not trusted.
        """
        headers = {"X-Vault-Token": token.expose().decode()} if token else {}
        try:
            async with self._session.request(
                method,
                f"{self._address}/v1/{path}",
                json=body,
                headers=headers,
                allow_redirects=False,
            ) as response:
                raw = await response.content.read(_MAX_ANSWER_BYTES)
                date = response.headers.get("Date", "")
                return VaultAnswer(response.status, _document(raw), date)
        except aiohttp.ClientConnectorCertificateError:
            failure = CommandError(
                f"The certificate of Vault at {self._address} is not trusted by VAULT_CACERT.",
                ExitCode.USAGE,
                hint=_DOCTOR,
            )
        except (aiohttp.ClientError, TimeoutError, OSError):
            failure = CommandError(
                f"Vault at {self._address} does not answer.", ExitCode.UNAVAILABLE, hint=_DOCTOR
            )
        raise failure  # outside the except block: aiohttp's errors hold the request


@asynccontextmanager
async def vault_http(settings: ClientSettings, timeout_seconds: float) -> AsyncIterator[VaultHTTP]:
    """Connect to the Vault of `VAULT_ADDR`, trusting `VAULT_CACERT` only, or else the system.

    Raises:
        CommandError: A setting is missing or wrong.
    """
    address = settings.require("VAULT_ADDR")
    if not address.startswith("https://"):
        raise CommandError(
            "VAULT_ADDR must begin with https://, because passwords go there.", ExitCode.USAGE
        )
    connector = aiohttp.TCPConnector(ssl=_tls_context(settings))
    timeout = aiohttp.ClientTimeout(total=timeout_seconds)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        yield VaultHTTP(session, address)


def _tls_context(settings: ClientSettings) -> ssl.SSLContext:
    if settings.get("VAULT_CACERT") is None:
        return ssl.create_default_context()
    try:
        trusted = settings.read_file("VAULT_CACERT").decode("ascii")
        return ssl.create_default_context(cadata=trusted)
    except (ssl.SSLError, UnicodeDecodeError, ValueError) as error:
        raise CommandError(
            "VAULT_CACERT names a file that holds no PEM certificate.", ExitCode.USAGE
        ) from error


def _document(raw: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(raw)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
