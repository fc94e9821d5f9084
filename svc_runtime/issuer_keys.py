"""The published keys of one issuer: fetched with restraint, refreshed before they get old."""

from __future__ import annotations

import asyncio
import ssl
from contextvars import Context
from pathlib import Path
from typing import Final

import aiohttp
import structlog

from svc_runtime.call_context import bind_request_id
from svc_runtime.clock import Clock
from svc_runtime.jwks import Keyset, parse_jwks

_log = structlog.get_logger()

_REFRESH_SECONDS: Final = 240.0
_RETRY_SECONDS: Final = 15.0  # after a refresh that failed
_FRESH_SECONDS: Final = 300.0  # what is older has outlived a refresh: the issuer was away
_USABLE_SECONDS: Final = 3600.0  # and serves on so long
# Tokens with made-up key ids cause at most one fetch in this time, and a key that the issuer adds
# is known so long after it was published at the latest.
_RESTRAINT_SECONDS: Final = 10.0
_RESTRAINT_WITHOUT_KEYS_SECONDS: Final = 1.0
_TIMEOUT_SECONDS: Final = 3.0
_MAX_BYTES: Final = 256 * 1024


class IssuerKeys:
    """The keys at one JWKS URL.

    From the first token on they are fetched anew every 240 s. So a token waits for the issuer only
    when nothing can be said without it: there are no keys that may serve, or none of that id.
    """

    def __init__(
        self,
        jwks_url: str,
        ca_file: Path | None,
        clock: Clock,
        *,
        refresh_seconds: float = _REFRESH_SECONDS,
        retry_seconds: float = _RETRY_SECONDS,
        timeout_seconds: float = _TIMEOUT_SECONDS,
    ) -> None:
        self._jwks_url = jwks_url
        self._ca_file = ca_file
        self._clock = clock
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._pauses = {True: refresh_seconds, False: retry_seconds}
        self._keyset: Keyset | None = None
        self._fetched = 0.0
        self._tried = -_RESTRAINT_SECONDS
        self._is_reachable = False
        self._fetching: asyncio.Task[None] | None = None
        self._refreshing: asyncio.Task[None] | None = None

    async def with_key(self, key_id: str) -> Keyset | None:
        """Return the keys, fetched anew if they lack *key_id* or may serve no more.

        Returns:
            None when the issuer cannot be reached and it takes that to judge: there are no keys,
            they are too old, or *key_id* may be newer than they are.
        """
        keyset = self._usable()
        if keyset is None or key_id not in keyset:
            if self._may_fetch(keyset):
                # One fetch for all tokens that come meanwhile. It goes on when the one that began
                # it is given up, or a caller who hangs up would count as an issuer that is away.
                await asyncio.shield(self._fetch())
                keyset = self._usable()
        elif self._age() > _FRESH_SECONDS and self._may_fetch(keyset):
            self._fetching = self._fetch()  # nobody waits for it
        if keyset is None or (key_id not in keyset and not self._is_reachable):
            return None
        return keyset

    async def close(self) -> None:
        """Stop refreshing."""
        tasks = {task for task in (self._fetching, self._refreshing) if task is not None}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _age(self) -> float:
        return self._clock.monotonic() - self._fetched

    def _usable(self) -> Keyset | None:
        return self._keyset if self._age() <= _USABLE_SECONDS else None

    def _may_fetch(self, keyset: Keyset | None) -> bool:
        # Without keys nothing can be judged: an issuer that was away is asked again soon.
        restraint = _RESTRAINT_WITHOUT_KEYS_SECONDS if keyset is None else _RESTRAINT_SECONDS
        return self._is_fetching() or self._clock.monotonic() - self._tried >= restraint

    def _is_fetching(self) -> bool:
        return self._fetching is not None and not self._fetching.done()

    def _fetch(self) -> asyncio.Task[None]:
        """Return the fetch under way, begun now unless there is one."""
        if self._fetching is None or self._fetching.done():
            self._fetching = asyncio.create_task(self._replace_keys())
        if self._refreshing is None:
            # Not in the context of the call that began it, which ends long before.
            self._refreshing = asyncio.create_task(self._refresh(), context=Context())
        return self._fetching

    async def _refresh(self) -> None:
        await asyncio.shield(self._fetch())
        while True:
            await asyncio.sleep(self._pauses[self._is_reachable])
            with bind_request_id():
                await asyncio.shield(self._fetch())

    async def _replace_keys(self) -> None:
        started = self._clock.monotonic()
        try:
            self._keyset = parse_jwks(await self._download())
        except Exception as error:  # noqa: BLE001 - whatever it is, refreshing must go on
            self._is_reachable = False
            _log.warning("issuer_unavailable", issuer=self._jwks_url, detail=type(error).__name__)
        else:
            self._is_reachable = True
            self._fetched = started
        finally:
            self._tried = self._clock.monotonic()

    async def _download(self) -> bytes:
        """Return the body, as it was sent: what is small in transit cannot grow here.

        A connection of its own each time, so that a CA that was replaced is known.
        """
        async with (
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    ssl=ssl.create_default_context(cafile=self._ca_file)
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"accept-encoding": "identity"},
                timeout=self._timeout,
                auto_decompress=False,
                trust_env=False,
            ) as session,
            session.get(self._jwks_url, allow_redirects=False) as response,
        ):
            if response.status != 200:  # noqa: PLR2004 - HTTP
                raise ValueError
            body = bytearray()
            async for piece in response.content.iter_any():
                body += piece
                if len(body) > _MAX_BYTES:
                    raise ValueError
            return bytes(body)
