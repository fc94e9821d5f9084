"""The last tests of a session: the key that all of them used must be found nowhere.

It went through custody, leases, decryption and calls, and through failures of each. In Vault's
storage it lies sealed; in no log, answer, file, environment or command line does it lie at all.
"""

from __future__ import annotations

import contextlib
import socket
import ssl

import grpc
import pytest

from keyturn.gateway.v1 import chat_completion_service_pb2 as chat_service_pb
from keyturn.gateway.v1.chat_completion_service_pb2_grpc import ChatCompletionServiceStub
from keyturn.keyvault.v1 import key_service_pb2 as keys_pb
from keyturn.keyvault.v1.key_service_pb2_grpc import KeyServiceStub
from svc_runtime.secret_bytes import SecretBytes
from tests.e2e.asking import QUESTION, SERVED, ask, ask_over_http
from tests.e2e.clients import DEADLINE_SECONDS, Clients, key_name, metadata, parameters
from tests.e2e.owners import OwnedKey, alice, unused_name
from tests.e2e.secret_search import forms_of, search_files, search_processes, search_texts
from tests.e2e.stack_process import keyturn, processes_of, saw_key

CANARY = key_name("standin")


async def test_the_canary_is_really_used(clients: Clients, canary_key: SecretBytes) -> None:
    assert await ask(clients, CANARY) == SERVED
    assert await ask_over_http(clients, CANARY) == SERVED
    assert saw_key(clients.stack.layout.logs_dir / "openai-standin.requests.jsonl", canary_key)


@pytest.mark.parametrize("model", ["error-400", "error-429", "error-500", "error-503", "m-cut"])
async def test_openai_fails_a_call_with_the_canary(clients: Clients, model: str) -> None:
    request = chat_service_pb.CreateChatCompletionRequest(parameters=parameters(model=model))
    async with clients.gateway() as channel:
        stub = ChatCompletionServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.CreateChatCompletion(
                request, timeout=DEADLINE_SECONDS, metadata=metadata(CANARY)
            )

    assert clients.reason(caught.value) is not None


async def test_openai_quotes_a_key_that_is_almost_the_canary(
    clients: Clients, canary_key: SecretBytes
) -> None:
    raw = canary_key.expose()
    damaged = OwnedKey(unused_name("damaged"), SecretBytes(raw[:-1] + _other(raw[-1:])))
    owner = alice(clients)
    await owner.create_key(damaged.name, damaged.api_key)
    await owner.verified(damaged.name)  # OpenAI quotes it to the gateway
    await owner.create_grant(damaged.name)

    assert await ask(clients, damaged.name) == "KEY_REJECTED_UPSTREAM"
    assert await ask_over_http(clients, damaged.name) == "KEY_REJECTED_UPSTREAM"


async def test_an_app_leaves_in_the_middle_of_its_answer(clients: Clients) -> None:
    request = chat_service_pb.StreamChatCompletionRequest(parameters=parameters(model="m-slow"))
    async with clients.gateway() as channel:
        call = ChatCompletionServiceStub(channel).StreamChatCompletion(
            request, timeout=DEADLINE_SECONDS, metadata=metadata(CANARY)
        )
        clients.keep(await call.read())
        call.cancel()
        with contextlib.suppress(grpc.aio.AioRpcError):
            clients.keep(await call.code())

    assert call.cancelled()


async def test_another_app_is_refused_the_canary(clients: Clients) -> None:
    assert await ask(clients, CANARY, app="other") == "NOT_GRANTED"


@pytest.mark.parametrize("damage", [b"\n", b" ", b"\xff", b"x" * 500], ids=repr)
async def test_the_canary_is_given_into_custody_with_something_too_much(
    clients: Clients, canary_key: SecretBytes, damage: bytes
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await alice(clients).create_key(
            unused_name("malformed"), SecretBytes(canary_key.expose() + damage)
        )

    assert clients.reason(caught.value) == "INVALID_ARGUMENT"


async def test_the_canary_is_given_into_custody_in_ways_that_are_refused(
    clients: Clients, canary_key: SecretBytes
) -> None:
    owner, reasons = alice(clients), []
    request = keys_pb.CreateKeyRequest(name=CANARY, api_key=canary_key.expose())
    no_deadline = owner.call("CreateKey", request, timeout=None)
    stranger = keys_pb.CreateKeyRequest(name="users/bob/keys/k", api_key=canary_key.expose())
    for call in (owner.call("CreateKey", request), no_deadline, owner.call("CreateKey", stranger)):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        reasons.append(clients.reason(caught.value))

    assert reasons == ["KEY_EXISTS", "INVALID_ARGUMENT", "NOT_THE_OWNER"]


async def test_the_canary_is_sent_to_a_port_that_does_not_know_the_call(
    clients: Clients, canary_key: SecretBytes
) -> None:
    request = keys_pb.CreateKeyRequest(name=unused_name("lost"), api_key=canary_key.expose())
    async with clients.gateway() as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await KeyServiceStub(channel).CreateKey(request, timeout=DEADLINE_SECONDS)

    clients.keep(caught.value)
    assert caught.value.code() in {
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.PERMISSION_DENIED,
    }


async def test_an_app_takes_the_canary_for_its_own_token(
    clients: Clients, canary_key: SecretBytes
) -> None:
    token = canary_key.expose().decode()
    async with (
        clients.http(token=token) as http,
        http.post("/v1/chat/completions", json=QUESTION) as response,
    ):
        clients.keep(dict(response.headers), await response.text())
    async with clients.owner_port() as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await KeyServiceStub(channel).ListKeys(
                keys_pb.ListKeysRequest(parent="users/alice"),
                timeout=DEADLINE_SECONDS,
                metadata=(("authorization", f"Bearer {token}"),),
            )

    assert (response.status, clients.reason(caught.value)) == (401, "CALLER_UNVERIFIED")


@pytest.mark.parametrize(
    "head",
    [
        "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\0\r\n\r\n",
        "POST /v1/chat/completions HTTP/1.1\r\nauthorization Bearer {}\r\n\r\n",
        "Bearer {}\r\n\r\n",
        "GET /v1/models HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\nx: " + "y" * 40_000,
    ],
    ids=["control character", "no colon", "no request", "too long"],
)
def test_the_canary_stands_in_a_request_that_is_none(
    clients: Clients, canary_key: SecretBytes, head: str
) -> None:
    answer = _speak(clients, head.format(canary_key.expose().decode()).encode() + b"\r\n\r\n")

    clients.keep(answer)
    assert answer.startswith((b"HTTP/1.0 400", b"HTTP/1.1 400"))


def test_the_command_is_given_the_canary_in_wrong_ways(
    clients: Clients, canary_key: SecretBytes
) -> None:
    raw, env_file = canary_key.expose(), clients.stack.layout.client_env

    said = [
        keyturn("keys", "add", raw.decode(), env_file=env_file),
        keyturn("keys", "add", "standin", env_file=env_file, stdin=raw),
        keyturn("keys", "add", "malformed", env_file=env_file, stdin=raw + b"\n\n"),
        keyturn(*("keys", "add", "k"), stdin=raw, env_file=env_file, KEYTURN_KEYS_GRPC="[::1]:1"),
    ]

    clients.keep(*said)
    assert [outcome.exit_code for outcome in said] == [2, 4, 2, 5]


def test_the_canary_is_in_no_file_of_this_session(
    clients: Clients, tmp_path_factory: pytest.TempPathFactory, canary_key: SecretBytes
) -> None:
    layout = clients.stack.layout

    found, files = search_files(tmp_path_factory.getbasetemp(), forms_of(canary_key))

    assert found == []
    assert set(files) >= {
        layout.client_env,
        layout.openbao_dir / "audit.log",
        layout.openbao_dir / "raft" / "vault.db",
        *(layout.logs_dir / f"{name}.log" for name in ("gateway-svc", "keyvault-svc-2")),
        layout.service_settings("gateway-svc"),
    }


def test_the_canary_is_in_no_environment_and_no_command_line(
    clients: Clients, canary_key: SecretBytes
) -> None:
    stack = {process.pid for process in processes_of(clients.stack.layout.home)}

    found, seen = search_processes(forms_of(canary_key))

    assert found == []
    assert len(stack) >= 6  # OpenBao, the stand-in, and two of each service
    assert stack <= set(seen)


def test_the_canary_is_in_nothing_that_a_client_received(
    transcript: list[str], canary_key: SecretBytes
) -> None:
    assert transcript
    assert search_texts("transcript", transcript, forms_of(canary_key)) == []


def test_the_canary_is_in_nothing_that_tests_printed_or_logged(
    captured_output: list[str], canary_key: SecretBytes
) -> None:
    assert search_texts("captured output", captured_output, forms_of(canary_key)) == []


def _speak(clients: Clients, request: bytes) -> bytes:
    """Send *request* to the gateway's HTTPS port and return all that comes back."""
    tls = ssl.create_default_context(cafile=clients.stack.layout.ca_file)
    address = ("127.0.0.1", clients.port("gateway", "http"))
    with (
        socket.create_connection(address, timeout=DEADLINE_SECONDS) as connection,
        tls.wrap_socket(connection, server_hostname="127.0.0.1") as speaking,
    ):
        speaking.sendall(request)
        answer = b""
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            while piece := speaking.recv(65536):
                answer += piece
                if b"\r\n\r\n" in answer:
                    break
    return answer


def _other(digit: bytes) -> bytes:
    """Return a hex digit that is not *digit*."""
    return b"1" if digit == b"0" else b"0"
