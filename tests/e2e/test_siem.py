"""Sigma rules fire on what the services of a stack log of an attack."""

from __future__ import annotations

import json
from typing import Any

import grpc
import pytest

from keyturn_cli.local.layout import OTHER_APP
from keyturn_cli.standin.standin_keys import make_key
from tests.e2e.asking import QUESTION
from tests.e2e.attack_gateway import acquire, lease_request
from tests.e2e.breaking import logged
from tests.e2e.clients import Clients, metadata, new_request_id
from tests.e2e.operators import operator, suspended
from tests.e2e.owners import alice, keep_key, sign_in, unused_name
from tests.integration.siem.ecs import Form
from tests.integration.siem.rules import count

GUESSES = 10  # of names_guessed
UNVERIFIED = 20  # of callers_unverified
FORM = pytest.mark.parametrize("form", Form)


def _fires(rule: str, form: Form, records: list[dict[str, Any]]) -> bool:
    return count(f"keyturn_{rule}", form, [json.dumps(record) for record in records]) > 0


@FORM
async def test_guessing_names_of_keys_by_a_stolen_gateway_is_seen(
    clients: Clients, form: Form
) -> None:
    names = [unused_name("guess") for _ in range(GUESSES)]
    for name in names:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await acquire(clients, lease_request(name, OTHER_APP))
        assert clients.reason(refused.value) == "NOT_GRANTED"
    records = [
        record for name in names for record in await logged(clients, "keyvault-svc", key=name)
    ]

    assert _fires("names_guessed", form, records)
    assert not _fires("names_guessed", form, records[1:])


@FORM
async def test_callers_without_a_good_token_are_seen(clients: Clients, form: Form) -> None:
    request_id = new_request_id()
    headers = dict(metadata(clients.stack.key_name, request_id))
    async with clients.http(token="a.b.c") as http:
        for _ in range(UNVERIFIED):
            async with http.post("/v1/chat/completions", json=QUESTION, headers=headers) as answer:
                assert answer.status == 401
    wanted = {"event": "http", "request_id": request_id}
    records = await logged(clients, "gateway-svc", count=UNVERIFIED, **wanted)

    assert _fires("callers_unverified", form, records)
    assert not _fires("callers_unverified", form, records[1:])


@FORM
async def test_an_operators_stop_is_seen(clients: Clients, form: Form) -> None:
    name = unused_name("stopped")
    async with suspended(operator(clients), name):
        records = await logged(clients, "keyvault-svc", event="suspended", key=name)

    assert _fires("operator_act", form, records)


@FORM
async def test_a_key_of_two_owners_is_seen(clients: Clients, form: Form) -> None:
    kept = await keep_key(clients, "lent")
    person = f"dave-{new_request_id()[:6]}"
    name = f"users/{person}/keys/mine"
    await sign_in(clients, person).create_key(name, kept.api_key)
    records = await logged(clients, "keyvault-svc", event="key_shared", key=name)

    assert _fires("key_shared", form, records)


@FORM
async def test_a_key_of_ones_own_is_not_seen(clients: Clients, form: Form) -> None:
    name = unused_name("own")
    await alice(clients).create_key(name, make_key())
    await alice(clients).verified(name)
    records = await logged(clients, "keyvault-svc", event="rpc", key=name)

    assert not _fires("key_shared", form, records)
