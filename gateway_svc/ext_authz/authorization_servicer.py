"""Serves Authorization: an Envoy asks whether, and with which key, it may send an app's call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import structlog
from structlog.contextvars import bound_contextvars

from gateway_svc.apps import Apps, app_token_of
from gateway_svc.domain.calls import shaved
from gateway_svc.domain.errors import UpstreamNotAllowedError
from gateway_svc.domain.key_name import FIELD as KEY_FIELD
from gateway_svc.domain.owner_token import FIELD as OWNER_FIELD
from gateway_svc.domain.owner_token import owner_token_of
from gateway_svc.domain.proxied_calls import ProxiedCalls
from gateway_svc.domain.relay import AppCall
from gateway_svc.ext_authz.check_answers import AUTHORIZATION, allowed, denied
from gateway_svc.ext_authz.proxied_request import ProxiedRequest
from keyturn.envoy.v3 import external_auth_service_pb2 as auth_pb
from keyturn.envoy.v3.external_auth_service_pb2_grpc import (
    AuthorizationServicer as GeneratedServicer,
)
from svc_runtime.authentication import ServicerContext
from svc_runtime.call_context import REQUEST_ID_KEY, annotate, current_call, request_id_from
from svc_runtime.service_error import CallerUnverifiedError, ServiceError

_log = structlog.get_logger()

HTTPRefusal: TypeAlias = tuple[int, dict[str, str], bytes]
"""Status, headers and body, in OpenAI's form."""


@dataclass(frozen=True, slots=True)
class Refusals:
    """How failures are told over HTTP.

    Attributes:
        of_error: Tells an error that a caller may see.
        of_fault: Tells a fault of this service.
    """

    of_error: Callable[[ServiceError], HTTPRefusal]
    of_fault: Callable[[], HTTPRefusal]


@dataclass(frozen=True, slots=True)
class Handover:
    """How keys are handed over.

    Attributes:
        upstream_base_url: What the label of a route must say.
        key_header: The header of the request that the key goes into.
        takes_text_bodies: Whether a JSON body may come as text.
    """

    upstream_base_url: str
    key_header: str
    takes_text_bodies: bool


class AuthorizationServicer(GeneratedServicer):
    """`envoy.service.auth.v3.Authorization`."""

    def __init__(
        self, calls: ProxiedCalls, apps: Apps, handover: Handover, refusals: Refusals
    ) -> None:
        """Hand out keys of *calls* as *handover* says; tell by *refusals* why there is none."""
        self._calls = calls
        self._apps = apps
        self._handover = handover
        self._refusals = refusals

    async def Check(  # noqa: N802 - named by the contract
        self, request: auth_pb.CheckRequest, context: ServicerContext
    ) -> auth_pb.CheckResponse:
        """Answer one question; every failure is an answer, too, and no error of gRPC's.

        An Envoy may be set to let pass what its question failed for.
        """
        call = current_call()
        try:
            proxied = ProxiedRequest(request)
            if (raw_ids := proxied.values(REQUEST_ID_KEY)) != []:
                call.request_id = request_id_from(raw_ids)
            with bound_contextvars(request_id=call.request_id):
                return await self._decide(proxied, context)
        except ServiceError as error:
            annotate(reason=error.reason)
            refusal = self._refusals.of_error(error)
        except Exception as error:  # noqa: BLE001 - the last line: nothing of a fault may leave
            _log.error("internal_error", exc_info=error)
            annotate(reason="INTERNAL")
            refusal = self._refusals.of_fault()
        status, headers, body = refusal
        return denied(status, {**headers, REQUEST_ID_KEY: call.request_id}, body)

    async def _decide(
        self, proxied: ProxiedRequest, context: ServicerContext
    ) -> auth_pb.CheckResponse:
        call = await self._app_call(proxied, context)
        if proxied.route_label() != self._handover.upstream_base_url:
            raise UpstreamNotAllowedError
        async with self._calls.opened(call) as opened:
            receipt = opened.receipt
            annotate(lease=receipt.lease_id, grant=receipt.grant, key_version=receipt.key_version)
            return allowed(opened, proxied.headers, self._handover.key_header)

    async def _app_call(self, proxied: ProxiedRequest, context: ServicerContext) -> AppCall:
        # What an Envoy says of an app's certificate counts for nothing: the key service could not
        # check it, as it checks a token.
        token = app_token_of(proxied.values(AUTHORIZATION))
        if token is None:
            raise CallerUnverifiedError
        app = await self._apps.app_of(token)
        annotate(app=str(app))
        key = self._apps.key_choice.choose(app, proxied.single(KEY_FIELD))
        method = proxied.method()
        endpoint, query = proxied.target()
        annotate(key=str(key), endpoint=endpoint.name)
        return AppCall(
            current_call().request_id,
            app,
            key,
            proxied.source_ip(),
            shaved(context.time_remaining() or 0.0),
            method,
            endpoint,
            query,
            proxied.passing_headers(),
            proxied.body(takes_text=self._handover.takes_text_bodies),
            token,
            owner_token_of(proxied.single(OWNER_FIELD)),
        )
