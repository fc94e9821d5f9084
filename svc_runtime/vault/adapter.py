"""An hvac adapter over one shared aiohttp connection pool."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Self

import aiohttp
import hvac.adapters
import structlog
from yarl import URL

from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.vault.answers import JSONObject, error_for, parse_object
from svc_runtime.vault.errors import VaultUnavailableError

_log = structlog.get_logger()

_FIRST_FAILURE = 300  # redirects included: following one could send the token to another host


class AsyncVaultAdapter(hvac.adapters.Adapter):  # type: ignore[misc]  # hvac is untyped
    """Makes hvac's API classes asynchronous.

    They return what their adapter returns, so each of their methods returns an awaitable of the
    answer's JSON object: `await KvV2(adapter).read_secret(...)`.

    Instances are immutable and cheap. `with_headers`, `with_token` and `with_timeout` return a
    copy that shares the connection pool, which belongs to whoever made it.
    """

    def __init__(
        self,
        pool: aiohttp.ClientSession,
        address: str,
        *,
        namespace: str | None,
        timeout_seconds: float,
    ) -> None:
        """Use *pool* for requests to *address*.

        hvac's own constructor is left out: it opens a `requests` session.

        Args:
            pool: Open connection pool, with TLS and limits set.
            address: `https://host:port` of Vault.
            namespace: Namespace of every request, or None for the root namespace.
            timeout_seconds: Total time of one request, waiting for a connection included.
        """
        self._pool = pool
        self._address = address.rstrip("/")
        self._namespace = namespace
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._headers: Mapping[str, str] = {}
        self._token: SecretBytes | None = None

    def with_headers(self, headers: Mapping[str, str]) -> Self:
        """Return a copy that adds *headers*, such as audited ones, to every request."""
        bound = copy.copy(self)
        bound._headers = {**self._headers, **headers}  # noqa: SLF001  # a copy of self
        return bound

    def with_token(self, token: SecretBytes) -> Self:
        """Return a copy that authenticates with *token*."""
        bound = copy.copy(self)
        bound._token = token  # noqa: SLF001  # a copy of self
        return bound

    def with_timeout(self, timeout_seconds: float) -> Self:
        """Return a copy whose requests take at most *timeout_seconds* each."""
        bound = copy.copy(self)
        bound._timeout = aiohttp.ClientTimeout(total=timeout_seconds)  # noqa: SLF001  # a copy of self
        return bound

    async def login(self, url: str, use_token: bool = True, **kwargs: Any) -> JSONObject:  # noqa: ANN401, FBT001, FBT002  # hvac's signature
        """Send a login request and return the answer. The adapter never keeps its token."""
        del use_token
        return await self.request("post", url, **kwargs)

    def get_login_token(self, response: JSONObject) -> str:
        """Return the client token of a login's answer."""
        return str(response["auth"]["client_token"])

    async def request(  # type: ignore[override,unused-ignore]  # hvac's is synchronous
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        **kwargs: object,
    ) -> JSONObject:
        """Send one request; hvac's `get`, `post`, `list` and others all end here.

        Args:
            method: HTTP method. `list` is sent as GET with `list=true`, which every proxy passes.
            url: Path, percent-encoded by hvac, from `/v1/` on.
            headers: More headers. They never replace the token.
            kwargs: `json`, `params`, `wrap_ttl`, as hvac's API classes pass them.

        Returns:
            The answer's JSON object; empty for an answer without a body.

        Raises:
            VaultUnavailableError: No usable answer came in time.
            VaultPermissionError: The token may not do this, or is no longer valid.
            VaultNotFoundError: Nothing is stored there.
            VaultConflictError: A check-and-set write met a newer version.
            VaultBadRequestError: Vault found the request's content invalid.
            TypeError: An option that this adapter does not know.
        """
        wrap_ttl, params, body = (kwargs.pop(name, None) for name in ("wrap_ttl", "params", "json"))
        if kwargs:
            raise TypeError(f"options that the adapter does not know: {sorted(kwargs)}")
        if method.lower() == "list":
            method, params = "get", {"list": "true"}
        outcome = await self._exchange(
            method,
            # hvac has quoted the path; quoting it anew could turn one path into another.
            URL(self._address + url.replace("//", "/"), encoded=True),
            headers=self._all_headers(headers, wrap_ttl),
            params=params,
            json=body,
        )
        if isinstance(outcome, str):
            raise self._unavailable(outcome)
        status, answer = outcome
        if status >= _FIRST_FAILURE:
            error = error_for(status, answer)
            raise self._unavailable(f"http_{status}") if error is VaultUnavailableError else error()
        parsed = parse_object(answer) if answer else {}
        if parsed is None:
            raise self._unavailable("not_json")
        return parsed

    async def _exchange(
        self,
        method: str,
        url: URL,
        **options: Any,  # noqa: ANN401  # passed on as they are
    ) -> tuple[int, bytes] | str:
        """Return status and body, or in one word why there are none.

        Raises nothing: aiohttp's errors hold the request's headers, and an error that we raised
        while handling one would keep it as its context.
        """
        if self._pool.closed:
            return "closed"
        try:
            async with self._pool.request(
                method, url, timeout=self._timeout, allow_redirects=False, **options
            ) as response:
                return response.status, await response.read()
        except TimeoutError:
            return "timeout"
        except (aiohttp.ClientError, OSError):
            return "connection"

    def _all_headers(self, headers: Mapping[str, str] | None, wrap_ttl: object) -> dict[str, str]:
        # Vault refuses requests without X-Vault-Request where an operator guards against SSRF.
        merged = {**self._headers, **(headers or {}), "X-Vault-Request": "true"}
        if wrap_ttl is not None:
            merged["X-Vault-Wrap-TTL"] = str(wrap_ttl)
        if self._namespace is not None:
            merged["X-Vault-Namespace"] = self._namespace
        if self._token is not None:
            merged["X-Vault-Token"] = self._token.expose().decode("ascii")
        return merged

    @staticmethod
    def _unavailable(cause: str) -> VaultUnavailableError:
        _log.warning("vault_unavailable", cause=cause)
        return VaultUnavailableError()
