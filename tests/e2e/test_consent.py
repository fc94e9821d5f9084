"""Consent as people live it: asked for, given narrower, changed, and never beyond the text."""

from __future__ import annotations

import secrets

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from keyturn.keyvault.v1 import grant_pb2 as grant_pb
from keyturn.keyvault.v1 import grant_request_service_pb2 as request_pb
from keyturn.keyvault.v1 import grant_service_pb2 as grants_pb
from keyturn_cli.local.layout import DEMO_APP
from svc_runtime.error_details import metadata_of
from tests.e2e.asking import SERVED, ask_often, ask_over_http
from tests.e2e.clients import Clients, key_name
from tests.e2e.owners import CONSENT_TEXT_VERSION, Owner, alice, give_key, keep_key, sign_in

REASON = "Answers questions about invoices"
# A gateway asks the two key services in turn, so this many requests ask each of them twice.
OFTEN = 4


def _terms(*endpoints: str) -> grant_pb.Grant:
    return grant_pb.Grant(app=DEMO_APP, models=["*"], endpoints=endpoints or ["*"])


async def _ask_for(owner: Owner, key: str, terms: grant_pb.Grant) -> request_pb.GrantRequest:
    request = request_pb.CreateGrantRequestRequest(
        parent=key, grant_request=request_pb.GrantRequest(grant=terms, reason=REASON)
    )
    response: request_pb.CreateGrantRequestResponse = await owner.call(
        "CreateGrantRequest", request
    )
    return response.grant_request


async def _show(person: Owner, name: str) -> request_pb.GrantRequest:
    request = request_pb.GetGrantRequestRequest(name=name)
    response: request_pb.GetGrantRequestResponse = await person.call("GetGrantRequest", request)
    return response.grant_request


async def _approve(owner: Owner, name: str, terms: grant_pb.Grant | None = None) -> grant_pb.Grant:
    request = request_pb.ApproveGrantRequestRequest(
        name=name, grant=terms, consent_text_version=CONSENT_TEXT_VERSION, answer="Chat only."
    )
    response: request_pb.ApproveGrantRequestResponse = await owner.call(
        "ApproveGrantRequest", request
    )
    return response.grant


async def _update(
    owner: Owner, grant: grant_pb.Grant, *paths: str, version: str = ""
) -> grant_pb.Grant:
    request = grants_pb.UpdateGrantRequest(
        grant=grant, update_mask=FieldMask(paths=paths), consent_text_version=version
    )
    response: grants_pb.UpdateGrantResponse = await owner.call("UpdateGrant", request)
    return response.grant


async def _served(clients: Clients, key: str) -> set[str]:
    """Return the different outcomes of requests that reach both key services by both gateways."""
    outcomes = set()
    for replica in (1, 2):
        outcomes |= set(await ask_often(clients, key, OFTEN, replica=replica))
        outcomes.add(await ask_over_http(clients, key, replica=replica))
    return outcomes


async def test_a_developer_asks_the_owner_narrows_and_calls_pass_within_only(
    clients: Clients,
) -> None:
    key = await keep_key(clients, "asked")
    developer = sign_in(clients, f"dev-{secrets.token_hex(4)}")
    assert await _served(clients, key.name) == {"NOT_GRANTED"}

    asked = await _ask_for(developer, key.name, _terms())
    owner = alice(clients, replica=2)
    listed = await owner.call(
        "ListGrantRequests", request_pb.ListGrantRequestsRequest(parent="users/alice")
    )
    assert asked.name in {request.name for request in listed.grant_requests}
    grant = await _approve(owner, asked.name, _terms("chat/completions"))

    assert await _served(clients, key.name) == {SERVED}
    decided = await _show(developer, asked.name)
    assert decided.state == request_pb.GRANT_REQUEST_STATE_APPROVED
    assert (decided.granted, decided.answer) == (grant.name, "Chat only.")
    assert grant.grant_request == asked.name
    assert grant.consent_text_version == CONSENT_TEXT_VERSION

    narrowed = grant_pb.Grant(name=grant.name, models=["o1"])
    await _update(alice(clients), narrowed, "models")
    assert await _served(clients, key.name) == {"MODEL_NOT_GRANTED"}


async def test_a_declined_request_grants_nothing_and_stays_declined(clients: Clients) -> None:
    key = await keep_key(clients, "declined")
    developer = sign_in(clients, f"dev-{secrets.token_hex(4)}")
    asked = await _ask_for(developer, key.name, _terms())
    request = request_pb.DeclineGrantRequestRequest(name=asked.name, answer="Not for this.")

    await alice(clients).call("DeclineGrantRequest", request)

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await _approve(alice(clients, replica=2), asked.name)
    assert clients.reason(caught.value) == "GRANT_REQUEST_DECIDED"
    assert (await _show(developer, asked.name)).answer == "Not for this."
    assert await _served(clients, key.name) == {"NOT_GRANTED"}


async def test_nobody_learns_by_asking_whether_somebody_elses_key_exists(
    clients: Clients,
) -> None:
    key = await keep_key(clients, "oracle")
    developer = sign_in(clients, f"dev-{secrets.token_hex(4)}")
    stranger = sign_in(clients, f"dev-{secrets.token_hex(4)}")
    nobodys = f"users/nobody-{secrets.token_hex(4)}/keys/openai"

    answers = [
        await _ask_for(developer, name, _terms())
        for name in (key.name, key_name("never-made"), nobodys)
    ]

    for answer in answers:
        answer.ClearField("create_time")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await _show(stranger, answer.name)
        assert clients.reason(caught.value) == "GRANT_REQUEST_NOT_FOUND"
        answer.ClearField("name")
    assert answers[0] == answers[1] == answers[2]


async def test_an_update_narrows_and_widens_from_the_next_request_on_every_replica(
    clients: Clients,
) -> None:
    key = await give_key(clients, "update")
    owner = alice(clients)
    [grant] = await owner.list_grants(key.name)
    assert await _served(clients, key.name) == {SERVED}

    grant.endpoints[:] = ["embeddings"]
    await _update(owner, grant, "endpoints")
    assert await _served(clients, key.name) == {"ENDPOINT_NOT_GRANTED"}

    grant.endpoints[:] = ["chat"]
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await _update(owner, grant, "endpoints")
    assert clients.reason(caught.value) == "CONSENT_TEXT_OUTDATED"
    assert await _served(clients, key.name) == {"ENDPOINT_NOT_GRANTED"}

    await _update(owner, grant, "endpoints", version=CONSENT_TEXT_VERSION)
    assert await _served(clients, key.name) == {SERVED}


async def test_an_outdated_text_is_refused_and_the_one_in_force_named(clients: Clients) -> None:
    key = await keep_key(clients, "outdated")
    owner = alice(clients)
    shown = await owner.call("GetConsentText", grants_pb.GetConsentTextRequest())
    request = grants_pb.CreateGrantRequest(
        parent=key.name, grant=_terms(), consent_text_version="of-last-year"
    )

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await owner.call("CreateGrant", request)

    assert clients.reason(caught.value) == "CONSENT_TEXT_OUTDATED"
    assert metadata_of(caught.value)["consent_text_version"] == shown.version
    assert "How to withdraw" in shown.text
    assert await owner.list_grants(key.name) == []


async def test_an_ended_grant_is_not_changed(clients: Clients) -> None:
    key = await give_key(clients, "ended")
    owner = alice(clients)
    [grant] = await owner.list_grants(key.name)
    await owner.revoke_grant(grant.name)

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await _update(owner, grant, "models", version=CONSENT_TEXT_VERSION)

    assert clients.reason(caught.value) == "GRANT_ENDED"


async def test_an_owners_grants_are_listed_over_all_keys_and_by_app(clients: Clients) -> None:
    keys = [await give_key(clients, "listed") for _ in range(2)]
    other = f"spiffe://keyturn.local/app/listed-{secrets.token_hex(4)}"
    await alice(clients).create_grant(keys[0].name, app=other)

    everything = await alice(clients).list_grants("users/alice")
    of_app = await alice(clients).call(
        "ListGrants", grants_pb.ListGrantsRequest(parent="users/alice", app=other)
    )

    granted = {grant.name.partition("/grants/")[0] for grant in everything}
    assert {key.name for key in keys} <= granted
    assert [grant.app for grant in of_app.grants] == [other]
