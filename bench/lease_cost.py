"""What a lease and a listing cost with many keys stored, beside the same with few.

Starts two local stacks. In one, 100 owners have a key each; in the other, as many as `--keys` says.
Each key is granted to two apps, to one of them under limits of several kinds. Then leases with and
without limits, and listings, are asked for at both in turn, in small blocks, so that whatever else
the machine does falls on all alike. The ratios are of the medians.

    .venv/bin/python bench/lease_cost.py --keys 100000
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import statistics
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import grpc

from keyturn.keyvault.v1 import key_lease_service_pb2 as lease_pb
from keyturn.keyvault.v1 import key_service_pb2 as keys_pb
from keyturn.keyvault.v1.key_lease_service_pb2_grpc import KeyLeaseServiceStub
from keyturn.keyvault.v1.key_service_pb2_grpc import KeyServiceStub
from keyturn_cli.client_settings import read_env_file
from keyturn_cli.local.layout import DEMO_APP
from keyturn_cli.local.stack import LocalStack
from keyturn_cli.local.upstream import Upstream
from keyvault_svc.domain.grant import Grant, GrantTerms
from keyvault_svc.domain.key_record import KeyRecord
from keyvault_svc.domain.key_state import KeyState
from keyvault_svc.domain.key_version import KeyVersion, SealedKey
from keyvault_svc.domain.limits import Limits
from keyvault_svc.domain.names import KeyName
from keyvault_svc.domain.ports import AuditTags
from keyvault_svc.vault.kv_documents import KvDocuments
from keyvault_svc.vault.kv_key_store import KvKeyStore
from svc_runtime.clock import SystemClock
from svc_runtime.spiffe_id import SpiffeId
from svc_runtime.vault.session import VaultConnection, VaultSession
from svc_runtime.vault.token_file_login import TokenFileLogin

if TYPE_CHECKING:  # the generated stubs have the asynchronous ones for type checkers only
    from keyturn.keyvault.v1.key_lease_service_pb2_grpc import KeyLeaseServiceAsyncStub
    from keyturn.keyvault.v1.key_service_pb2_grpc import KeyServiceAsyncStub

FEW = 100
WRITERS = 16
BLOCK = 50
WARM_UP = 100
LIMITED_APP = f"{DEMO_APP}-limited"
# Never reached, and each of them counted.
LIMITS = Limits(
    requests_per_minute=10**9,
    tokens_per_minute=10**12,
    tokens_per_month=10**12,
    usd_per_day=Decimal(10**9),
    usd_per_month=Decimal(10**9),
)
# Has the form of a sealed key; a lease hands it over, and nobody opens it here.
CIPHERTEXT = "vault:v1:" + "A" * 280


@dataclass
class Side:
    """One of the two stacks, and what was measured on it."""

    stack: LocalStack
    keys: int
    leases: list[float] = field(default_factory=list)
    limited: list[float] = field(default_factory=list)
    listings: list[float] = field(default_factory=list)


def record(number: int) -> KeyRecord:
    """Return the record of owner *number*, who has one key and has granted it to both apps."""
    now = datetime.now(UTC)
    fingerprint = hashlib.sha256(str(number).encode()).hexdigest()
    version = KeyVersion(1, SealedKey(CIPHERTEXT, fingerprint), KeyState.ACTIVE, now)
    name = KeyName.parse(f"users/owner-{number}/keys/openai", "name")
    free = GrantTerms(SpiffeId.parse(DEMO_APP), ("*",), ("*",))
    limited = replace(free, app=SpiffeId.parse(LIMITED_APP), limits=LIMITS)
    return replace(
        KeyRecord(name, f"owner-{number}", now, version),
        grants=tuple(
            Grant(f"{2 * number + index:016x}", terms, now, f"owner-{number}")
            for index, terms in enumerate((free, limited))
        ),
    )


async def fill(side: Side) -> None:
    """Store the side's records, several at a time."""
    vault = side.stack.openbao
    connection = VaultConnection(vault.address, vault.ca_file, max_connections=WRITERS)
    numbers = iter(range(side.keys))
    async with VaultSession(
        connection, TokenFileLogin(vault.root_token_file), SystemClock()
    ) as session:
        store = KvKeyStore(KvDocuments(session))

        async def writer() -> None:
            for number in numbers:
                new = record(number)
                await store.write(new, AuditTags("bench-fill", str(new.name)))
                if number % 10_000 == 0:
                    print(f"  stored {number} of {side.keys}", flush=True)

        await asyncio.gather(*(writer() for _ in range(WRITERS)))


async def measure(sides: list[Side], calls: int) -> None:
    """Ask for leases and listings at both sides in turn."""
    async with AsyncExitStack() as opened:
        asked = []
        for side in sides:
            layout, ports = side.stack.layout, side.stack.ports
            certificate, key = (p.read_bytes() for p in layout.certificate("gateway-svc"))
            ca = layout.ca_file.read_bytes()
            gateway = await opened.enter_async_context(
                grpc.aio.secure_channel(
                    f"127.0.0.1:{ports['keyvault-gateway']}",
                    grpc.ssl_channel_credentials(ca, key, certificate),
                )
            )
            owner = await opened.enter_async_context(
                grpc.aio.secure_channel(
                    f"127.0.0.1:{ports['keyvault-owner']}", grpc.ssl_channel_credentials(ca)
                )
            )
            token = read_env_file(layout.client_env)["KEYTURN_OWNER_TOKEN"]
            asked.append((side, KeyLeaseServiceStub(gateway), KeyServiceStub(owner), token))
        for round_number in range(-(-(calls + WARM_UP) // BLOCK)):
            for side, leases, keys, token in asked:
                for turn in range(BLOCK):
                    number = (round_number * BLOCK + turn) * 7919 % side.keys
                    side.leases.append(await lease(leases, number, DEMO_APP))
                    side.limited.append(await lease(leases, number, LIMITED_APP))
                    side.listings.append(await listing(keys, token))
    for side in sides:
        del side.leases[:WARM_UP], side.limited[:WARM_UP], side.listings[:WARM_UP]


async def lease(stub: KeyLeaseServiceAsyncStub, number: int, app: str) -> float:
    """Return the seconds that a lease of owner *number*'s key to *app* takes."""
    request = lease_pb.AcquireLeaseRequest(
        key=f"users/owner-{number}/keys/openai",
        app=app,
        method="POST",
        endpoint="chat/completions",
        model="gpt-4o-mini",
        source_ip="127.0.0.1",
        body_sha256=bytes(32),
        input_token_bound=1000,
        output_token_bound=1000,
    )
    start = time.perf_counter()
    await stub.AcquireLease(request, timeout=10)
    return time.perf_counter() - start


async def listing(stub: KeyServiceAsyncStub, token: str) -> float:
    """Return the seconds that a listing of alice's keys takes."""
    request = keys_pb.ListKeysRequest(parent="users/alice")
    start = time.perf_counter()
    await stub.ListKeys(request, timeout=10, metadata=(("authorization", f"Bearer {token}"),))
    return time.perf_counter() - start


def report(few: Side, many: Side) -> None:
    """Print the table."""
    print(f"{'p50 ms':10} {few.keys:>12} keys {many.keys:>12} keys {'ratio':>8}")
    medians = {
        what: [statistics.median(getattr(side, what)) * 1e3 for side in (few, many)]
        for what in ("leases", "limited", "listings")
    }
    for what, p50 in medians.items():
        print(f"{what:10} {p50[0]:17.3f} {p50[1]:17.3f} {p50[1] / p50[0]:8.3f}")
    ratios = [
        limited / free for limited, free in zip(medians["limited"], medians["leases"], strict=True)
    ]
    print(f"{'of limits':10} {ratios[0]:17.3f} {ratios[1]:17.3f}")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--keys", type=int, default=100_000, help="100 to 1,000,000")
    parser.add_argument("--calls", type=int, default=1000, help="of each kind, at most 100,000")
    arguments = parser.parse_args()
    if not FEW <= arguments.keys <= 1_000_000 or not BLOCK <= arguments.calls <= 100_000:
        parser.error("--keys must be 100 to 1,000,000, --calls 50 to 100,000")
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalStack(Path(folder) / "few", Upstream.of({})) as few_stack,
        LocalStack(Path(folder) / "many", Upstream.of({})) as many_stack,
    ):
        few, many = Side(few_stack, FEW), Side(many_stack, arguments.keys)
        for side in (few, many):
            print(f"storing {side.keys} keys", flush=True)
            asyncio.run(fill(side))
        asyncio.run(measure([few, many], arguments.calls))
        report(few, many)


if __name__ == "__main__":
    main()
