"""An Envoy asks for keys, of a real stack: who may, what it gets, and what it never gets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import grpc
import pytest

from keyturn.keyvault.v1 import limits_pb2 as limits_pb
from keyturn_cli.exit_codes import ExitCode
from keyturn_cli.local.layout import DEMO_APP, OTHER_APP
from keyturn_cli.local.upstream import Upstream
from svc_runtime.secret_bytes import SecretBytes
from tests.e2e.breaking import SERVED_HTTP, Verdict, by_token, kill, logged
from tests.e2e.clients import DEADLINE_SECONDS, Clients, new_request_id
from tests.e2e.envoys import BODY, ENVOY, Envoy, StackWithEnvoy, question, verdict_of
from tests.e2e.evidence import DECRYPT, GATEWAY, KEY_SERVICE, upstream_requests, vault_operations
from tests.e2e.log_check import faults_of_logs
from tests.e2e.owners import alice, give_key, keep_key
from tests.e2e.secret_search import forms_of, search_files, search_texts
from tests.e2e.stack_process import keyturn

NOT_GRANTED: Verdict = (403, "NOT_GRANTED")
INVALID: Verdict = (400, "INVALID_ARGUMENT")
_SENT = {"content-type": "application/json", "cookie": "session=canary", "user-agent": "app/1"}


@pytest.fixture(scope="module", name="envoy")
def _envoy(
    tmp_path_factory: pytest.TempPathFactory, canary_key: SecretBytes, transcript: list[str]
) -> Iterator[Envoy]:
    """The Envoy of a stack of the module's own."""
    home = tmp_path_factory.mktemp("envoy") / "home"
    with StackWithEnvoy(home, Upstream(None, canary_key, "standin")) as stack:
        yield Envoy(Clients(stack, transcript), stack)
    assert faults_of_logs(stack.layout) == []


async def test_a_call_is_sent_with_the_owners_key_and_nothing_else_of_the_apps(
    envoy: Envoy,
) -> None:
    key = await give_key(envoy.clients, "through-envoy")
    response = await envoy.ask(key.name)

    assert verdict_of(response) == SERVED_HTTP
    forwarded = {**_SENT, "authorization": "Bearer app.app.app", "x-keyturn-key": key.name}
    assert await envoy.send_on(response, forwarded) == 200
    [request] = upstream_requests(envoy.clients, key.api_key)
    assert not {"cookie", "x-keyturn-key", "x-forwarded-for"} & set(request.headers)


async def test_the_key_that_is_looked_for_at_the_end_is_really_handed_out(
    envoy: Envoy, canary_key: SecretBytes
) -> None:
    response = await envoy.ask(envoy.stack.key_name)

    [option] = response.ok_response.headers
    assert option.header.value == f"Bearer {canary_key.expose().decode()}"


async def test_both_halves_of_vault_are_used_once_under_one_request_id(envoy: Envoy) -> None:
    key, request_id = await give_key(envoy.clients, "evidence"), new_request_id()
    response = await envoy.ask(key.name, headers={"x-keyturn-request-id": request_id})

    operations = vault_operations(envoy.clients, request_id)
    receipt = dict(response.dynamic_metadata)
    assert [(op.role, op.operation) for op in operations] == [
        (KEY_SERVICE, "read"),
        (GATEWAY, "update"),
    ]
    assert operations[1].path == DECRYPT
    assert {op.tags["lease"] for op in operations} == {receipt["x-keyturn-lease"]}
    assert operations[1].tags["app"] == DEMO_APP


async def test_the_records_name_the_envoy_the_app_and_what_became_of_the_lease(
    envoy: Envoy,
) -> None:
    key, request_id = await give_key(envoy.clients, "recorded"), new_request_id()
    await envoy.ask(key.name, headers={"x-keyturn-request-id": request_id})

    [record] = await logged(envoy.clients, "gateway-svc", event="rpc", request_id=request_id)
    [settled] = await logged(envoy.clients, "keyvault-svc", event="lease_settled", key=key.name)
    assert (record["caller"], record["app"], record["key"]) == (ENVOY, DEMO_APP, key.name)
    assert (settled["outcome"], settled["lease"]) == ("served", record["lease"])
    # Nobody tells how the call ended: no status and no usage is made up.
    assert not settled.get("http_status")
    assert not settled.get("openai_request_id")
    assert settled["usage_source"] == "none"


async def test_a_revocation_holds_from_the_next_request(envoy: Envoy) -> None:
    owner, key = alice(envoy.clients), await keep_key(envoy.clients, "revoked")
    grant = await owner.create_grant(key.name)
    before = verdict_of(await envoy.ask(key.name))
    await owner.revoke_grant(grant.name)

    assert before == SERVED_HTTP
    assert verdict_of(await envoy.ask(key.name)) == (403, "GRANT_REVOKED")


_TERMS: list[tuple[Mapping[str, Any], Verdict]] = [
    ({"app": OTHER_APP}, NOT_GRANTED),
    ({"models": ["gpt-4o"]}, (403, "MODEL_NOT_GRANTED")),
    ({"endpoints": ["embeddings"]}, (403, "ENDPOINT_NOT_GRANTED")),
    ({"source_cidrs": ["203.0.113.0/24"]}, (403, "SOURCE_NOT_GRANTED")),
    ({"needs_owner_presence": True}, (403, "OWNER_NOT_PRESENT")),
    ({"needs_app_proof": True}, SERVED_HTTP),
    ({"limits": limits_pb.Limits(tokens_per_day=10)}, (429, "BUDGET_SPENT")),
]


@pytest.mark.parametrize(("terms", "told"), _TERMS, ids=range(len(_TERMS)))
async def test_policy_is_that_of_the_other_surfaces(
    envoy: Envoy, terms: Mapping[str, Any], told: Verdict
) -> None:
    key = await give_key(envoy.clients, "terms", **terms)

    assert verdict_of(await envoy.ask(key.name)) == told


async def test_a_key_that_does_not_exist_reads_like_one_that_was_not_granted(
    envoy: Envoy,
) -> None:
    assert verdict_of(await envoy.ask("users/alice/keys/nowhere")) == NOT_GRANTED


async def test_what_a_call_may_take_stays_charged(envoy: Envoy) -> None:
    key = await give_key(
        envoy.clients,
        "charged",
        limits=limits_pb.Limits(requests_per_minute=100, tokens_per_day=400),
    )
    bounded = BODY.removesuffix(b"}") + b', "max_tokens": 100}'
    heard = [verdict_of(await envoy.ask(key.name, body=bounded)) for _ in range(3)]

    # Each reserves its 100 tokens and those of its prompt, and none comes back.
    assert heard == [SERVED_HTTP, SERVED_HTTP, (429, "BUDGET_SPENT")]


@pytest.mark.parametrize(
    "changes",
    [
        {"headers": {"x-keyturn-key": "users/alice/keys/a,users/alice/keys/b"}},
        {"headers": {"X-Keyturn-Key": "users/alice/keys/b"}},
        {"headers": {"x-envoy-auth-partial-body": "true"}},
        {"headers": {"content-type": "application/json,text/plain"}},
        {"headers": {"upgrade": "websocket"}},
        {"path": "/v1/%2e%2e/v1/chat/completions"},
        {"path": "/v1/chat%2fcompletions"},
        {"path": "/v1/chat/completions;x"},
        {"path": "/v1/chat/completions/../../files"},
        {"path": "/admin"},
        {"body": BODY[:-1]},
        {"body": BODY[:-1] + b', "model": "gpt-4o"}'},
        {"method": "CONNECT"},
    ],
    ids=range(13),
)
async def test_a_request_that_could_be_read_in_two_ways_is_refused(
    envoy: Envoy, changes: dict[str, Any]
) -> None:
    assert verdict_of(await envoy.ask(envoy.stack.key_name, **changes)) == INVALID


async def test_the_model_of_the_query_counts_as_one_of_the_body_does(envoy: Envoy) -> None:
    key = await give_key(envoy.clients, "query", models=["gpt-4o-mini"])
    path = "/v1/chat/completions?model=gpt-4o"

    assert verdict_of(await envoy.ask(key.name, path=path)) == (403, "MODEL_NOT_GRANTED")


@pytest.mark.parametrize("token", ["", "no-token", "a.b.c", "sk-canary-placeholder"])
async def test_an_app_that_cannot_prove_itself_gets_nothing(envoy: Envoy, token: str) -> None:
    certificate = {"x-forwarded-client-cert": f"URI={DEMO_APP}", "x-keyturn-app": DEMO_APP}
    response = await envoy.ask(envoy.stack.key_name, token=token, headers=certificate)

    assert verdict_of(response) == (401, "CALLER_UNVERIFIED")


@pytest.mark.parametrize("label", [None, "", "https://api.openai.com/v1"])
async def test_a_route_that_leads_elsewhere_gets_no_key(envoy: Envoy, label: str | None) -> None:
    token = envoy.clients.env["KEYTURN_APP_TOKEN"]
    headers = {
        "authorization": f"Bearer {token}",
        "content-type": "application/json",
        "x-envoy-auth-partial-body": "false",
        "x-keyturn-key": envoy.stack.key_name,
    }
    async with envoy.channel(envoy.stack.certificate("front")) as stub:
        response = await stub.Check(question(label, headers, BODY), timeout=DEADLINE_SECONDS)

    assert verdict_of(response) == (403, "UPSTREAM_NOT_ALLOWED")


@pytest.mark.parametrize("name", ["envoy-other", "app-demo", "gateway-svc", "keyvault-svc"])
async def test_nobody_else_of_the_deployment_may_ask(envoy: Envoy, name: str) -> None:
    asked = question(envoy.stack.upstream_base_url, {}, b"")
    async with envoy.channel(envoy.stack.layout.certificate(name)) as stub:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Check(asked, timeout=DEADLINE_SECONDS)

    assert envoy.clients.reason(caught.value) == "CALLER_NOT_ALLOWED"


async def test_without_a_certificate_there_is_no_connection(envoy: Envoy) -> None:
    asked = question(envoy.stack.upstream_base_url, {}, b"")
    async with envoy.clients.channel(envoy.stack.envoy_port) as channel:
        call = channel.unary_unary("/envoy.service.auth.v3.Authorization/Check", bytes, bytes)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(asked.SerializeToString(), timeout=DEADLINE_SECONDS)

    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_an_envoy_may_do_nothing_but_ask(envoy: Envoy) -> None:
    certificate = envoy.stack.certificate("front")
    port = envoy.clients.port("gateway", "grpc")
    async with envoy.clients.channel(port, *certificate) as channel:
        call = channel.unary_unary("/keyturn.gateway.v1.PassThroughService/Call", bytes, bytes)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(b"", timeout=DEADLINE_SECONDS)

    assert envoy.clients.reason(caught.value) == "CALLER_NOT_ALLOWED"


def test_vaults_log_proves_these_calls_as_it_proves_the_others(envoy: Envoy) -> None:
    verified = keyturn("audit", "verify", env_file=envoy.stack.layout.client_env)

    assert verified.exit_code == ExitCode.OK, verified.said


async def test_an_outage_is_an_answer_that_says_so(envoy: Envoy) -> None:
    kill(envoy.clients, "keyvault-svc")

    response = await envoy.ask(envoy.stack.key_name)

    assert verdict_of(response) == (503, "KEY_SERVICE_UNAVAILABLE")
    assert (await by_token(envoy.clients))[0] == 503


def test_no_key_that_was_handed_out_is_in_a_file_or_in_what_else_an_envoy_got(
    envoy: Envoy, canary_key: SecretBytes, transcript: list[str]
) -> None:
    forms = forms_of(canary_key)
    found, files = search_files(envoy.stack.layout.home, forms)

    assert found == []
    assert envoy.stack.layout.logs_dir / "gateway-svc.log" in files
    assert search_texts("transcript", transcript, forms) == []
