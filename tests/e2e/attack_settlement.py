"""Settlements by a compromised gateway that are not of the lease that is open."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from keyturn.keyvault.v1 import key_lease_service_pb2 as lease_pb
from keyturn_cli.local.layout import DEMO_APP, OTHER_APP
from tests.e2e.attack_gateway import acquire, lease_request, settle
from tests.e2e.attack_table import Scene


@dataclass(frozen=True)
class OpenLease:
    """A lease of the demo app's, and the settlement that is true of it."""

    lease_id: str
    settlement: lease_pb.LeaseSettlement

    def changed(self, **fields: object) -> lease_pb.LeaseSettlement:
        """Return the settlement with other *fields*, and a usage that would be believed."""
        changed = lease_pb.LeaseSettlement()
        changed.CopyFrom(self.settlement)
        changed.usage.input_tokens = changed.usage.output_tokens = 1
        for name, value in fields.items():
            setattr(changed, name, value)
        return changed


async def open_lease(scene: Scene) -> OpenLease:
    """Acquire a lease by the scene's key."""
    request = lease_request(scene.key.name, DEMO_APP)
    lease = (await acquire(scene.clients, request, request_id=scene.request_id)).lease
    settlement = lease_pb.LeaseSettlement(
        lease_id=lease.lease_id,
        request_id=scene.request_id,
        key=scene.key.name,
        grant=lease.grant,
        app=DEMO_APP,
        outcome=lease_pb.LEASE_OUTCOME_SERVED,
        http_status=200,
        usage=lease_pb.Usage(
            input_tokens=7,
            output_tokens=8,
            model="gpt-4o-mini",
            source=lease_pb.USAGE_SOURCE_REPORTED,
        ),
    )
    return OpenLease(lease.lease_id, settlement)


async def settle_truly(scene: Scene, opened: OpenLease) -> tuple[int, int]:
    """Report what is true; return how many counted, and how many did not."""
    answer = await settle(scene.clients, opened.settlement)
    return answer.settled_count, answer.duplicate_count


Forge = Callable[[Scene, OpenLease], lease_pb.LeaseSettlement]

BEFORE: Mapping[str, Forge] = {
    "another app": lambda _, opened: opened.changed(app=OTHER_APP),
    "another grant": lambda scene, opened: opened.changed(
        grant=f"{scene.key.name}/grants/{'0' * 16}"
    ),
    "another key": lambda scene, opened: opened.changed(
        key=scene.guarded.name, grant=f"{scene.guarded.name}/grants/{'0' * 16}"
    ),
}
"""What is reported of an open lease that was given for something else."""

UNKNOWN: Mapping[str, Forge] = {
    "another owner": lambda _, opened: opened.changed(
        key="users/bob/keys/openai", grant=f"users/bob/keys/openai/grants/{'0' * 16}"
    ),
    "an unknown lease": lambda _, opened: opened.changed(lease_id=secrets.token_hex(16)),
}
"""What the store knows nothing of, and may be of a lease that was given while it was away."""

AFTER: Mapping[str, Forge] = {
    "as it was": lambda _, opened: opened.settlement,
    "with another usage": lambda _, opened: opened.changed(),
    "as not used": lambda _, opened: opened.changed(outcome=lease_pb.LEASE_OUTCOME_UNUSED),
    "under another request id": lambda _, opened: opened.changed(request_id="another-request"),
}
"""What is reported of a lease that has been settled."""
