from __future__ import annotations

import json
import logging
from dataclasses import replace
from typing import Any

import grpc
import pytest
from structlog.testing import capture_logs

from gateway_svc.domain import errors
from gateway_svc.ext_authz.authorization_servicer import Handover
from gateway_svc.http.error_status import HTTP_STATUS
from svc_runtime.error_details import reason_of
from svc_runtime.jwt_verifier import IssuerUnavailableError
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.service_error import CallerUnverifiedError, InvalidFieldError, ServiceError
from svc_runtime.vault.errors import VaultUnavailableError
from tests.unit.gateway_svc.ext_authz.envoy_question import PROOF, UPSTREAM, question
from tests.unit.gateway_svc.ext_authz.envoy_stage import ENVOY, EnvoyStage, refusal, written
from tests.unit.gateway_svc.relay_stage import API_KEY, APP_TOKEN, LEASE
from tests.unit.svc_runtime.interceptors import loopback_tls

KEY = API_KEY.expose().decode()
_LIMITED: tuple[type[ServiceError], ...] = (errors.BudgetSpentError, errors.RateLimitedError)
_TOLD = [error for error in HTTP_STATUS if error is not InvalidFieldError]


async def test_an_allowed_request_is_sent_with_the_key_and_the_receipt_comes_back() -> None:
    stage = EnvoyStage()

    response = await stage.ask(question())

    ok = response.ok_response
    assert response.status.code == 0
    assert written(ok.headers) == {"authorization": f"Bearer {KEY}"}
    assert "authorization" not in ok.headers_to_remove
    receipt = written(ok.response_headers_to_add)
    assert receipt["x-keyturn-lease"] == LEASE.lease_id
    assert receipt["x-keyturn-request-id"] == stage.leaser.requests[0].request_id
    assert dict(response.dynamic_metadata) == receipt


async def test_the_key_is_in_one_field_of_the_answer_only() -> None:
    response = await EnvoyStage().ask(question())
    del response.ok_response.headers[:]

    assert b"canary" not in response.SerializeToString()


async def test_envoy_ai_gateway_gets_the_bare_key_under_its_own_name() -> None:
    handover = Handover(UPSTREAM, "x-aigw-api-key", takes_text_bodies=False)
    forged = question(headers={"x-aigw-api-key": "forged"})

    ok = (await EnvoyStage(handover=handover).ask(forged)).ok_response

    assert written(ok.headers) == {"x-aigw-api-key": KEY}
    assert "authorization" in ok.headers_to_remove
    assert "x-aigw-api-key" not in ok.headers_to_remove


async def test_the_app_is_the_one_of_its_token_and_the_key_service_gets_the_token() -> None:
    stage = EnvoyStage()

    await stage.ask(question())

    [request] = stage.leaser.requests
    assert (str(request.app), request.app_token) == (loopback_tls.APP, APP_TOKEN)
    assert (request.source_ip, request.model) == ("10.1.2.3", "gpt-4o")


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer placeholder",
        f"{PROOF},{PROOF}",
        f"{PROOF}, {PROOF}",
        f"Basic {PROOF}",
        "Bearer a.b.c.d",
        "Bearer a.b." + "c" * 20_000,
    ],
    ids=range(8),
)
async def test_an_app_without_a_token_of_its_own_is_unverified(authorization: str | None) -> None:
    stage = EnvoyStage()
    forwarded = {
        "authorization": authorization,
        "x-forwarded-client-cert": f"URI={loopback_tls.APP}",
    }

    assert refusal(await stage.ask(question(headers=forwarded))) == (401, "CALLER_UNVERIFIED")
    assert stage.leaser.requests == []


async def test_a_certificate_that_envoy_tells_of_proves_nothing() -> None:
    asked = question(headers={"authorization": None}).SerializeToString()
    # AttributeContext.source.principal, by its number: this service does not even know the field.
    principal = b"\x22" + bytes([len(loopback_tls.APP)]) + loopback_tls.APP.encode()
    peer = b"\x0a" + bytes([len(principal)]) + principal
    attributes = b"\x0a" + bytes([len(peer)]) + peer
    request = type(question()).FromString(asked + attributes)

    assert refusal(await EnvoyStage().ask(request)) == (401, "CALLER_UNVERIFIED")


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (CallerUnverifiedError(), (401, "CALLER_UNVERIFIED")),
        ("spiffe://example.org/gateway-svc", (401, "CALLER_UNVERIFIED")),
        (IssuerUnavailableError(), (503, "ISSUER_UNAVAILABLE")),
    ],
    ids=["bad", "no app", "issuer away"],
)
async def test_a_token_that_names_no_app_is_no_proof(
    names: str | ServiceError, told: tuple[int, str]
) -> None:
    stage = EnvoyStage(token_names=names)

    assert refusal(await stage.ask(question())) == told
    assert stage.leaser.requests == []


@pytest.mark.parametrize(
    "caller",
    [
        ("spiffe://example.org/envoy/other",),
        ("spiffe://example.org/envoy/front/x",),
        (loopback_tls.APP,),
        (ENVOY, loopback_tls.APP),
        (),
    ],
    ids=range(5),
)
async def test_only_the_envoys_of_the_settings_may_ask(caller: tuple[str, ...]) -> None:
    stage = EnvoyStage()

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stage.ask(question(), caller)

    assert reason_of(caught.value) in {"CALLER_NOT_ALLOWED", "CALLER_UNVERIFIED"}
    assert stage.leaser.requests == []


@pytest.mark.parametrize("label", [None, "", "https://eu.api.openai.com/v1", f"{UPSTREAM}/"])
async def test_a_route_that_does_not_say_where_it_leads_gets_no_key(label: str | None) -> None:
    stage = EnvoyStage()

    assert refusal(await stage.ask(question(label=label))) == (403, "UPSTREAM_NOT_ALLOWED")
    assert stage.leaser.requests == []


async def test_a_key_for_another_place_is_not_opened() -> None:
    stage = EnvoyStage(lease=replace(LEASE, base_url="https://eu.api.openai.com/v1"))

    assert refusal(await stage.ask(question())) == (403, "UPSTREAM_NOT_ALLOWED")
    assert stage.opener.opened == []


@pytest.mark.parametrize(
    "changes",
    [
        {"headers": {"x-keyturn-key": "users/a/keys/b,users/a/keys/c"}},
        {"headers": {"x-keyturn-key": None}},
        {"headers": {"x-keyturn-request-id": "short"}},
        {"headers": {"x-keyturn-request-id": "request-0001,request-0002"}},
        {"headers": {"x-keyturn-owner-token": "no token"}},
        {"headers": {"x-envoy-auth-partial-body": "true"}},
        {"headers": {"content-type": "text/plain"}},
        {"headers": {"upgrade": "websocket"}},
        {"path": "/v1/chat/%2e%2e/files"},
        {"path": "/v2/chat/completions"},
        {"method": "CONNECT"},
        {"raw_body": b""},
        {"source": ""},
    ],
    ids=range(13),
)
async def test_a_request_that_breaks_a_rule_is_refused_before_anything_is_asked(
    changes: dict[str, Any],
) -> None:
    stage = EnvoyStage()

    assert refusal(await stage.ask(question(**changes))) == (400, "INVALID_ARGUMENT")
    assert stage.leaser.requests == []


@pytest.mark.parametrize("error", [e for e in _TOLD if e not in _LIMITED], ids=lambda e: e.__name__)
async def test_every_failure_has_the_status_that_it_has_over_http(
    error: type[ServiceError],
) -> None:
    response = await EnvoyStage(lease=error()).ask(question())

    assert refusal(response) == (HTTP_STATUS[error][0], error.reason)
    told = written(response.denied_response.headers)
    assert told["content-type"] == "application/json"
    assert "x-keyturn-request-id" in told


@pytest.mark.parametrize("error", _LIMITED)
async def test_a_spent_limit_says_when_to_come_back(error: type[ServiceError]) -> None:
    failure = error()
    failure.retry_after_seconds = 1.5
    told = written((await EnvoyStage(lease=failure).ask(question())).denied_response.headers)

    assert (told["retry-after"], told["retry-after-ms"]) == ("2", "1500")
    assert "x-should-retry" in told


async def test_vault_away_is_an_outage_and_hands_nothing_out() -> None:
    response = await EnvoyStage(key=VaultUnavailableError()).ask(question())

    assert refusal(response) == (503, "VAULT_UNAVAILABLE")
    assert response.status.code == grpc.StatusCode.UNAVAILABLE.value[0]


@pytest.mark.parametrize("key", [b"sk-canary\r\nx: y", b"sk-canary\xff", b"sk canary"])
async def test_a_key_that_could_end_its_header_is_not_handed_out(key: bytes) -> None:
    response = await EnvoyStage(key=SecretBytes(key)).ask(question())

    assert refusal(response) == (500, "SEALED_KEY_UNUSABLE")
    assert b"canary" not in response.SerializeToString()


async def test_a_fault_is_an_answer_that_says_nothing_of_it() -> None:
    with capture_logs() as logs:
        response = await EnvoyStage(key=RuntimeError("canary")).ask(question())

    assert refusal(response) == (500, "INTERNAL")
    assert b"canary" not in response.SerializeToString()
    assert [line["reason"] for line in logs if line["event"] == "rpc"] == ["INTERNAL"]


async def test_the_apps_own_request_id_names_the_call() -> None:
    stage = EnvoyStage()
    with capture_logs() as logs:
        response = await stage.ask(question(headers={"x-keyturn-request-id": "request-0001"}))

    [record] = [line for line in logs if line["event"] == "rpc"]
    assert stage.leaser.requests[0].request_id == record["request_id"] == "request-0001"
    receipt = written(response.ok_response.response_headers_to_add)
    assert receipt["x-keyturn-request-id"] == "request-0001"


async def test_the_record_names_the_envoy_the_app_the_lease_and_no_secret(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    owner = question(headers={"x-keyturn-owner-token": "aa.owner-canary.cc"})
    with capture_logs() as logs:
        await EnvoyStage().ask(owner)

    [record] = [line for line in logs if line["event"] == "rpc"]
    assert (record["caller"], record["app"]) == (ENVOY, loopback_tls.APP)
    assert (record["lease"], record["endpoint"]) == (LEASE.lease_id, "chat/completions")
    assert "canary" not in json.dumps(logs, default=str) + caplog.text
