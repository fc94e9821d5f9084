"""An hvac adapter over one shared aiohttp connection pool."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

import aiohttp
import hvac.adapters
import structlog
from yarl import URL

from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.vault.answers import (
    JSONObject,
    error_for,
    is_of_the_node,
    parse_object,
    was_not_processed,
)
from svc_runtime.vault.consistency import INDEX, ReadConsistency
from svc_runtime.vault.errors import VaultUnavailableError
from svc_runtime.vault.measured import measured
from svc_runtime.vault.operation import operation_of
from svc_runtime.vault.retry_budget import RetryBudget
from svc_runtime.vault.route import VaultRoute
from svc_runtime.vault.traced import answered, exchange_span

_log = structlog.get_logger()

_MIN_CONNECT_SECONDS: Final = 0.3
_MAX_CONNECT_SECONDS: Final = 2.0
_HANGING_SECONDS: Final = 1.0  # a node from which nothing comes for so long is left
_FIRST_PAUSE_SECONDS: Final = 0.05
_MAX_PAUSE_SECONDS: Final = 1.0
_INTERNAL_ERROR = 500  # said after thought, such as without an audit device: no use to ask again
_FIRST_FAILURE = 300  # redirects included: following one could send the token to another host


@dataclass(frozen=True, slots=True)
class _Request:
    """What is sent; it may be sent to several nodes in turn."""

    operation: str
    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    options: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why there is no answer, in one word, and whether the request was certainly not sent."""

    cause: str
    is_unsent: bool = False


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
        route: VaultRoute,
        *,
        namespace: str | None,
        timeout_seconds: float,
    ) -> None:
        """Use *pool* for requests along *route*.

        hvac's own constructor is left out: it opens a `requests` session.

        Args:
            pool: Open connection pool, with TLS and limits set.
            route: Where Vault is. Shared by all copies.
            namespace: Namespace of every request, or None for the root namespace.
            timeout_seconds: Total time of one request, repetitions and waiting included.
        """
        self._pool = pool
        self._route = route
        self._budget = RetryBudget()
        self._consistency = ReadConsistency()
        self._namespace = namespace
        self._timeout_seconds = timeout_seconds
        self._headers: Mapping[str, str] = {}
        self._token: SecretBytes | None = None
        self._is_repeatable = False

    def with_headers(self, headers: Mapping[str, str]) -> Self:
        """Return a copy that adds *headers*, such as audited ones, to every request."""
        return self._with(_headers={**self._headers, **headers})

    def with_token(self, token: SecretBytes) -> Self:
        """Return a copy that authenticates with *token*."""
        return self._with(_token=token)

    def with_timeout(self, timeout_seconds: float) -> Self:
        """Return a copy whose requests take at most *timeout_seconds* each."""
        return self._with(_timeout_seconds=timeout_seconds)

    def with_repetition(self) -> Self:
        """Return a copy whose requests are repeated also where Vault may have acted on them."""
        return self._with(_is_repeatable=True)

    def _with(self, **changes: object) -> Self:
        """Return a copy with other attributes; `copy.copy` takes longer, for each request."""
        bound = object.__new__(type(self))
        bound.__dict__.update(self.__dict__, **changes)
        return bound

    async def login(self, url: str, use_token: bool = True, **kwargs: Any) -> JSONObject:  # noqa: ANN401, FBT001, FBT002  # hvac's signature
        """Send a login request and return the answer. The adapter never keeps its token.

        It may be repeated: a token that nobody got dies of its TTL.
        """
        del use_token
        return await self.with_repetition().request("post", url, **kwargs)

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
        is_list = method.lower() == "list"
        if is_list:
            method, params = "get", {"list": "true"}
        path = url.replace("//", "/")
        request = _Request(
            operation_of(method, path, is_list=is_list),
            method,
            path,
            self._all_headers(headers, wrap_ttl),
            {"params": params, "json": body},
        )
        with measured(request.operation, self._hanging_seconds):
            return await self._answer_of(request)

    async def _answer_of(self, request: _Request) -> JSONObject:
        outcome = await self._repeated(request)
        if isinstance(outcome, _Failure):
            raise self._unavailable(outcome.cause)
        status, answer = outcome
        if status >= _FIRST_FAILURE:
            error = error_for(status, answer)
            raise self._unavailable(f"http_{status}") if error is VaultUnavailableError else error()
        parsed = parse_object(answer) if answer else {}
        if parsed is None:
            raise self._unavailable("not_json")
        return parsed

    async def _repeated(self, request: _Request) -> tuple[int, bytes] | _Failure:
        """Send *request*, and once more for as long as Vault certainly has not acted on it.

        One that Vault may have acted on is repeated only by a copy made `with_repetition`: Vault's
        audit log shall show one line for each lease.
        """
        loop = asyncio.get_running_loop()
        give_up = loop.time() + self._timeout_seconds
        for attempt in itertools.count(1):
            address = self._route.address
            outcome = await self._traced(address, request, give_up - loop.time())
            if isinstance(outcome, _Failure):
                is_safe, is_unsure = outcome.is_unsent, True
            elif is_of_the_node(outcome[0]):
                is_safe, is_unsure = was_not_processed(*outcome), outcome[0] != _INTERNAL_ERROR
            else:
                self._budget.succeeded()
                return outcome
            has_other = self._route.leave(address)
            if not is_safe and not (is_unsure and self._is_repeatable):
                return outcome
            pause = 0.0 if has_other and attempt == 1 else _pause_seconds(attempt)
            if loop.time() + pause >= give_up or not self._budget.take():
                return outcome
            await asyncio.sleep(pause)
        raise AssertionError("the loop ends by a return")

    async def _traced(
        self, address: str, request: _Request, seconds: float
    ) -> tuple[int, bytes] | _Failure:
        with exchange_span(request.operation, request.method, address) as span:
            outcome = await self._exchange(address, request, seconds)
            if isinstance(outcome, _Failure):
                span.fail(outcome.cause)
            else:
                answered(span, outcome[0])
            return outcome

    async def _exchange(
        self, address: str, request: _Request, seconds: float
    ) -> tuple[int, bytes] | _Failure:
        """Return status and body, or why there are none.

        Raises nothing: aiohttp's errors hold the request's headers, and an error that we raised
        while handling one would keep it as its context.
        """
        if self._pool.closed:
            return _Failure("closed")
        # Connecting, TLS included, has a time of its own, which leaves some for another node.
        connect_seconds = min(max(seconds / 3, _MIN_CONNECT_SECONDS), _MAX_CONNECT_SECONDS)
        timeout = aiohttp.ClientTimeout(total=seconds, sock_connect=connect_seconds)
        begin = asyncio.get_running_loop().time()
        try:
            async with self._pool.request(
                request.method,
                # hvac has quoted the path; quoting it anew could turn one path into another.
                URL(address + request.path, encoded=True),
                headers={**request.headers, **self._consistency.headers},
                timeout=timeout,
                allow_redirects=False,
                **request.options,
            ) as response:
                self._consistency.observe(response.headers.get(INDEX))
                return response.status, await response.read()
        except aiohttp.ConnectionTimeoutError:
            return _Failure("connect_timeout", is_unsent=True)
        except aiohttp.ClientConnectorError:
            return _Failure("connection", is_unsent=True)
        except TimeoutError:
            return _Failure("timeout")
        except (aiohttp.ClientError, OSError):
            return _Failure("connection")
        except asyncio.CancelledError:
            # The caller's time is often up before ours; a node that used it up is left all the
            # same, or else its open connections would use up that of many calls to come.
            waited = asyncio.get_running_loop().time() - begin
            if waited >= self._hanging_seconds:
                self._route.leave(address)
            raise

    @property
    def _hanging_seconds(self) -> float:
        return min(_HANGING_SECONDS, self._timeout_seconds / 2)

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


def _pause_seconds(attempt: int) -> float:
    """Return how long to wait after attempt number *attempt*, from 1; half of it is jitter."""
    full = min(_FIRST_PAUSE_SECONDS * 2.0 ** min(attempt, 10), _MAX_PAUSE_SECONDS)
    return full * random.uniform(0.5, 1.0)  # noqa: S311  # spreads load, guards nothing
