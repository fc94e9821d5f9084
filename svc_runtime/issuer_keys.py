"""The published keys of one issuer: fetched, kept for a while, fetched again with restraint."""

from __future__ import annotations

import asyncio
import json
import ssl
from pathlib import Path
from typing import Final

import aiohttp
import jwt
import structlog

from svc_runtime.clock import Clock

_log = structlog.get_logger()

_FRESH_SECONDS: Final = 300.0  # then the keys are fetched anew with the next token
_USABLE_SECONDS: Final = 3600.0  # and serve on so long while the issuer cannot be reached
# Tokens with made-up key ids cause at most one fetch in this time.
_RESTRAINT_SECONDS: Final = 10.0
_TIMEOUT_SECONDS: Final = 3.0
_MAX_BYTES: Final = 256 * 1024

Keyset = dict[str, jwt.PyJWK]


class IssuerKeys:
    """The keys at one JWKS URL."""

    def __init__(self, jwks_url: str, ca_file: Path | None, clock: Clock) -> None:
        self._jwks_url = jwks_url
        self._ca_file = ca_file
        self._clock = clock
        self._keyset: Keyset | None = None
        self._fetched = 0.0
        self._tried = -_RESTRAINT_SECONDS
        self._is_reachable = False
        self._fetching: asyncio.Task[None] | None = None
        self._session: aiohttp.ClientSession | None = None

    async def with_key(self, key_id: str) -> Keyset | None:
        """Return the keys, fetched anew if they are old or lack *key_id*.

        Returns:
            None when the issuer cannot be reached and it takes that to judge: there are no keys,
            they are too old, or *key_id* may be newer than they are.
        """
        if self._is_wanting(key_id):
            # One fetch for all tokens that come meanwhile. It goes on when the one that began it
            # is given up, or a caller who hangs up would count as an issuer that is away.
            if self._fetching is None or self._fetching.done():
                self._fetching = asyncio.create_task(self._fetch())
            await asyncio.shield(self._fetching)
        if self._keyset is None or self._age() > _USABLE_SECONDS:
            return None
        if key_id not in self._keyset and not self._is_reachable:
            return None
        return self._keyset

    async def close(self) -> None:
        """Close the connections."""
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.wait({self._fetching})
        if self._session is not None:
            await self._session.close()

    def _age(self) -> float:
        return self._clock.monotonic() - self._fetched

    def _is_wanting(self, key_id: str) -> bool:
        if self._keyset is None:
            # Nothing can be judged: an issuer that was away is asked again soon.
            return self._clock.monotonic() - self._tried >= 1.0
        is_old = key_id not in self._keyset or self._age() > _FRESH_SECONDS
        return is_old and self._clock.monotonic() - self._tried >= _RESTRAINT_SECONDS

    async def _fetch(self) -> None:
        started = self._clock.monotonic()
        try:
            self._keyset = _parse(await self._download())
        except (aiohttp.ClientError, OSError, ValueError) as error:
            self._is_reachable = False
            _log.warning("issuer_unavailable", issuer=self._jwks_url, detail=type(error).__name__)
        else:
            self._is_reachable = True
            self._fetched = started
        finally:
            self._tried = self._clock.monotonic()

    async def _download(self) -> bytes:
        session = self._session or self._open_session()
        async with session.get(self._jwks_url, allow_redirects=False) as response:
            if response.status != 200:  # noqa: PLR2004 - HTTP
                raise ValueError
            body = bytearray()
            async for piece in response.content.iter_any():
                body += piece
                if len(body) > _MAX_BYTES:
                    raise ValueError
            return bytes(body)

    def _open_session(self) -> aiohttp.ClientSession:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=self._ca_file)),
            timeout=aiohttp.ClientTimeout(total=_TIMEOUT_SECONDS),
            trust_env=False,
        )
        return self._session


def _parse(body: bytes) -> Keyset:
    """Return the keys of a JWKS by id; what is no key that we can use is left out.

    Raises:
        ValueError: *body* is no JWKS.
    """
    try:
        jwks = json.loads(body)
    except RecursionError:
        jwks = None
    entries = jwks.get("keys") if isinstance(jwks, dict) else None
    if not isinstance(entries, list):
        raise ValueError("not a JWKS")  # noqa: TRY004 - to the caller it is the content that is wrong
    keyset: Keyset = {}
    for entry in entries:
        try:
            key = jwt.PyJWK(entry)
        except (jwt.PyJWTError, ValueError, TypeError, AttributeError):
            continue
        if isinstance(key.key_id, str) and entry.get("use", "sig") == "sig":
            keyset[key.key_id] = key
    return keyset
