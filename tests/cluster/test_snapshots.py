"""What a restored backup brings back, and that the services go on without a restart."""

from __future__ import annotations

from functools import partial

from keyturn.keyvault.v1 import key_pb2 as key_pb
from keyturn_cli.standin.standin_keys import make_key
from tests.cluster.calling import REPLICAS
from tests.cluster.scene import Scene
from tests.e2e.asking import SERVED, ask, ask_often
from tests.e2e.breaking import by_grpc, until
from tests.e2e.evidence import upstream_requests
from tests.e2e.owners import alice, give_key, keep_key


async def test_a_restored_snapshot_takes_keys_and_grants_back_to_what_they_were(
    scene: Scene,
) -> None:
    clients, owner = scene.clients, alice(scene.clients)
    kept = await give_key(clients, "kept")
    rotated = await give_key(clients, "rotated")
    deleted = await give_key(clients, "deleted")
    revoked = await keep_key(clients, "revoked")
    grant = await owner.create_grant(revoked.name)
    snapshot = scene.cluster.save_snapshot()

    successor = make_key()
    await owner.rotate_key(rotated.name, successor)
    await owner.verified(rotated.name)
    await owner.delete_key(deleted.name)
    await owner.revoke_grant(grant.name)
    later = await give_key(clients, "later")
    for key, outcome in (
        (kept, SERVED),
        (rotated, SERVED),
        (deleted, "NOT_GRANTED"),
        (revoked, "GRANT_REVOKED"),
        (later, SERVED),
    ):
        assert await ask(clients, key.name) == outcome
    assert len(upstream_requests(clients, successor)) > 0

    scene.cluster.restore_snapshot(snapshot)
    # Restoring keeps the leader busy for some seconds.
    for replica in REPLICAS:
        await until(
            partial(ask_often, clients, kept.name, 2 * len(REPLICAS), replica=replica),
            lambda outcomes: set(outcomes) == {SERVED},
        )

    # All that was done since is undone: also what an owner took away, and what was erased.
    for key, outcome in (
        (rotated, SERVED),
        (deleted, SERVED),
        (revoked, SERVED),
        (later, "NOT_GRANTED"),
    ):
        assert [await ask(clients, key.name, replica=r) for r in REPLICAS] == [outcome] * 2
    before = len(upstream_requests(clients, rotated.api_key))
    assert await ask(clients, rotated.name) == SERVED
    assert len(upstream_requests(clients, rotated.api_key)) == before + 1
    assert (await owner.get_key(rotated.name)).state == key_pb.KEY_STATE_ACTIVE

    # Both can be done again.
    await owner.revoke_grant(grant.name)
    await owner.delete_key(deleted.name)
    assert await ask(clients, revoked.name, replica=2) == "GRANT_REVOKED"
    assert await ask(clients, deleted.name, replica=2) == "NOT_GRANTED"
    assert await by_grpc(clients) == ("OK", None)
