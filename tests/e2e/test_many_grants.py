"""A key with many grants stays as manageable as one with few."""

from __future__ import annotations

from keyturn.keyvault.v1 import grant_pb2 as grant_pb
from keyturn.keyvault.v1 import grant_service_pb2 as grants_pb
from tests.e2e.clients import Clients
from tests.e2e.owners import CONSENT_TEXT_VERSION, alice, give_key

COUNT = 110


async def test_grants_beyond_a_hundred_can_be_made_and_each_be_revoked(clients: Clients) -> None:
    owner = alice(clients)
    key = await give_key(clients, "many-grants")
    for number in range(COUNT):
        grant = grant_pb.Grant(
            app=f"spiffe://keyturn.local/app/many-{number}",
            models=["gpt-4o", "gpt-4o-mini"],
            endpoints=["chat/completions", "embeddings"],
            source_cidrs=["10.0.0.0/8"],
        )
        request = grants_pb.CreateGrantRequest(
            parent=key.name, grant=grant, consent_text_version=CONSENT_TEXT_VERSION
        )
        await owner.call("CreateGrant", request)

    listed = await owner.call("ListGrants", grants_pb.ListGrantsRequest(parent=key.name))
    for grant in listed.grants:
        await owner.call("RevokeGrant", grants_pb.RevokeGrantRequest(name=grant.name))

    listed = await owner.call("ListGrants", grants_pb.ListGrantsRequest(parent=key.name))
    assert len(listed.grants) >= COUNT
    assert all(grant.HasField("revoke_time") for grant in listed.grants)
