"""Every RPC of both services, by every identity, at every port."""

from __future__ import annotations

import pytest

from tests.e2e.breaking import Verdict
from tests.e2e.clients import Clients, new_request_id
from tests.e2e.identities import (
    COMPLETE_WHEN_EMPTY,
    LET_IN,
    NO_HANDSHAKE,
    NOT_ALLOWED,
    NOT_HERE,
    POLL,
    POLLED,
    PORTS,
    RPCS,
    UNVERIFIED,
    bearer,
    call_empty,
    connect,
    is_recorded_once,
    pair_of,
)

IDENTITIES = ("nobody", "app", "key service", "gateway", "owner token", "app token")
MATRIX: dict[str, dict[str, Verdict]] = {
    "gateway": {
        "nobody": NO_HANDSHAKE,
        "app": LET_IN,
        "key service": NOT_ALLOWED,
        "gateway": NOT_ALLOWED,
        "owner token": NO_HANDSHAKE,
        "app token": NO_HANDSHAKE,
    },
    "owner": {
        "nobody": UNVERIFIED,
        "app": UNVERIFIED,
        "key service": UNVERIFIED,
        "gateway": UNVERIFIED,
        "owner token": LET_IN,
        "app token": UNVERIFIED,
    },
    "lease": {
        "nobody": NO_HANDSHAKE,
        "app": NOT_ALLOWED,
        "key service": NOT_ALLOWED,
        "gateway": LET_IN,
        "owner token": NO_HANDSHAKE,
        "app token": NO_HANDSHAKE,
    },
}
"""What each identity hears at each port from the RPCs that are served there."""

_CERTIFICATES = {"app": "app-demo", "key service": "keyvault-svc", "gateway": "gateway-svc"}
_TOKENS = {"owner token": "KEYTURN_OWNER_TOKEN", "app token": "KEYTURN_APP_TOKEN"}


def test_the_matrix_names_every_identity_at_every_port() -> None:
    assert {side: set(row) for side, row in MATRIX.items()} == {
        side: set(IDENTITIES) for side in RPCS
    }
    assert sum(map(len, RPCS.values())) == 36


@pytest.mark.parametrize("identity", IDENTITIES)
@pytest.mark.parametrize("side", PORTS)
async def test_each_port_serves_its_own_rpcs_to_its_own_callers(
    clients: Clients, side: str, identity: str
) -> None:
    name, variable = _CERTIFICATES.get(identity), _TOKENS.get(identity)
    proof = bearer(clients.env[variable]) if variable else ()
    expected = MATRIX[side][identity]
    # Whoever gets through the handshake hears of foreign RPCs that they are not here.
    foreign = NO_HANDSHAKE if expected == NO_HANDSHAKE else NOT_HERE
    heard, ids = {}, {}
    async with connect(clients, side, pair_of(clients, name) if name else None) as channel:
        for home, methods in RPCS.items():
            for method in methods:
                request_id = new_request_id()
                entries = (*proof, ("x-keyturn-request-id", request_id))
                heard[method.full_name] = await call_empty(clients, channel, method, entries)
                verdict_here = foreign if home != side else expected
                if verdict_here == LET_IN:
                    verdict_here = COMPLETE_WHEN_EMPTY.get(method.full_name, LET_IN)
                ids[method.full_name] = (request_id, verdict_here)
    if ids[POLL][1] == LET_IN:
        assert heard.pop(POLL) == POLLED
        del ids[POLL]

    assert heard == {name: verdict_of_it for name, (_, verdict_of_it) in ids.items()}
    if expected != NO_HANDSHAKE:
        process = PORTS[side][2]
        recorded = [await is_recorded_once(clients, process, rid) for rid, _ in ids.values()]
        assert all(recorded)
