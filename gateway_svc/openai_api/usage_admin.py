"""`UsageAdmin` on the administration API of the openai SDK."""

from __future__ import annotations

import ssl
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, time, timedelta
from http import HTTPStatus
from typing import Any, Final

import httpx2
import openai

from gateway_svc.domain.errors import (
    KeyRejectedUpstreamError,
    UpstreamAnswerUnusableError,
    UpstreamForbiddenError,
    UpstreamNotAllowedError,
    UpstreamRateLimitedError,
    UpstreamTimedOutError,
    UpstreamUnavailableError,
)
from gateway_svc.domain.reconciliation import Counted, UsageKind, UsagePage, UsageQuestion
from gateway_svc.openai_api.one_time_auth import PLACEHOLDER, OneTimeAuth
from gateway_svc.openai_api.public_resolver import PublicResolver
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.service_error import ServiceError

_TIMEOUT: Final = httpx2.Timeout(30.0, connect=10.0)  # seconds
_DAY: Final = timedelta(days=1)
_MAX_COUNT: Final = 2**48
# What Keyturn does not see in OpenAI's answers to these calls: only requests can be compared.
_WITHOUT_TOKENS: Final = frozenset({UsageKind.MODERATIONS})


class OpenAIUsageAdmin:
    """OpenAI's usage API, or what stands in for it. Nothing of the environment matters."""

    def __init__(
        self,
        base_urls: Sequence[str],
        tls: ssl.SSLContext | None,
        *,
        allows_private_addresses: bool = False,
    ) -> None:
        """Talk to *base_urls* only; see `AiohttpUpstream`."""
        self._base_urls = [base_url.rstrip("/") for base_url in base_urls]
        self._tls = tls
        self._resolver = None if allows_private_addresses else PublicResolver()

    async def close(self) -> None:
        """Close what looks names up."""
        if self._resolver is not None:
            await self._resolver.close()

    async def ask(
        self, question: UsageQuestion, admin_key: SecretBytes, base_url: str
    ) -> UsagePage:
        """Return what OpenAI counted; see `UsageAdmin.ask`."""
        base_url = base_url.rstrip("/") or self._base_urls[0]
        if base_url not in self._base_urls:
            raise UpstreamNotAllowedError
        auth = OneTimeAuth(admin_key)
        del admin_key
        failure: ServiceError
        try:
            await self._must_be_public(base_url)
            async with httpx2.AsyncClient(
                auth=auth,
                verify=self._tls or True,
                trust_env=False,
                follow_redirects=False,
                timeout=_TIMEOUT,
            ) as http:
                answer = await _send(_client(http, base_url), question)
        except openai.APIStatusError as error:
            failure = _failure_of(error.status_code)
        except openai.APITimeoutError:
            failure = UpstreamTimedOutError()
        except (openai.APIConnectionError, OSError):
            failure = UpstreamUnavailableError()
        except (openai.OpenAIError, ValueError):
            failure = UpstreamAnswerUnusableError()
        else:
            return _page(question, answer)
        # Here, not inside `except`: what the SDK raises holds the request and the answer.
        raise failure

    async def _must_be_public(self, base_url: str) -> None:
        url = httpx2.URL(base_url)
        if self._resolver is not None and url.scheme == "https":
            await self._resolver.resolve(url.host, url.port or 443)


def _client(http: httpx2.AsyncClient, base_url: str) -> openai.AsyncOpenAI:
    """Return the SDK's client, with everything said that it would look for in the environment."""
    return openai.AsyncOpenAI(
        api_key="",
        admin_api_key=PLACEHOLDER,
        organization="",
        project="",
        webhook_secret="",
        base_url=base_url,
        max_retries=0,  # a lease is for one request
        timeout=_TIMEOUT,
        http_client=http,
    )


async def _send(client: openai.AsyncOpenAI, question: UsageQuestion) -> object:
    usage = client.admin.organization.usage
    ask: Any = {  # their parameters are the same, as far as they are given here
        UsageKind.COMPLETIONS: usage.completions,
        UsageKind.EMBEDDINGS: usage.embeddings,
        UsageKind.IMAGES: usage.images,
        UsageKind.MODERATIONS: usage.moderations,
        UsageKind.AUDIO_SPEECHES: usage.audio_speeches,
        UsageKind.AUDIO_TRANSCRIPTIONS: usage.audio_transcriptions,
    }[question.kind]
    begin = datetime.combine(question.day, time(), UTC)
    answer: object = await ask(
        start_time=int(begin.timestamp()),
        end_time=int((begin + _DAY).timestamp()),
        bucket_width="1d",
        group_by=["api_key_id"],
        api_key_ids=list(question.openai_key_ids),
        **({"page": question.page} if question.page else {}),
    )
    return answer


def _failure_of(status: int) -> ServiceError:
    if status == HTTPStatus.UNAUTHORIZED:
        return KeyRejectedUpstreamError()
    if status == HTTPStatus.FORBIDDEN:
        return UpstreamForbiddenError({"status": str(status)})
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return UpstreamRateLimitedError({"status": str(status)})
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return UpstreamUnavailableError()
    return UpstreamAnswerUnusableError()


def _page(question: UsageQuestion, answer: object) -> UsagePage:
    """Return what *answer* says. The SDK checks no types, so this does.

    Raises:
        UpstreamAnswerUnusableError: It is no usage.
    """
    buckets = getattr(answer, "data", None)
    has_more, next_page = getattr(answer, "has_more", None), getattr(answer, "next_page", None)
    if not isinstance(buckets, list) or not isinstance(has_more, bool):
        raise UpstreamAnswerUnusableError
    if has_more and not (isinstance(next_page, str) and next_page):
        raise UpstreamAnswerUnusableError
    counted: dict[str, Counted] = defaultdict(Counted)
    for result in _results(question, buckets):
        key_id = getattr(result, "api_key_id", None)
        if not isinstance(key_id, str):
            continue  # what no key did, such as the playground
        counted[key_id] = counted[key_id].plus(_counted(question.kind, result))
    return UsagePage(counted, str(next_page) if has_more else "")


def _results(question: UsageQuestion, buckets: Iterable[object]) -> Iterable[object]:
    """Return the results of the buckets of the day that was asked for."""
    begin = datetime.combine(question.day, time(), UTC)
    first, end = int(begin.timestamp()), int((begin + _DAY).timestamp())
    for bucket in buckets:
        results = getattr(bucket, "results", None)
        if not isinstance(results, list):
            raise UpstreamAnswerUnusableError
        if first <= _figure(bucket, "start_time") < end:
            yield from results


def _counted(kind: UsageKind, result: object) -> Counted:
    requests = _figure(result, "num_model_requests")
    if kind in _WITHOUT_TOKENS:
        return Counted(requests)
    return Counted(requests, _figure(result, "input_tokens"), _figure(result, "output_tokens"))


def _figure(holder: object, name: str) -> int:
    """Return a count; 0 for one that is not among this kind's."""
    value = getattr(holder, name, None)
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MAX_COUNT:
        raise UpstreamAnswerUnusableError
    return value
