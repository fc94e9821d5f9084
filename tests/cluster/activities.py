"""What is going on while something breaks."""

from __future__ import annotations

import asyncio
import math
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final
from typing import Protocol as Interface

from keyturn.keyvault.v1 import key_pb2 as key_pb
from keyturn_cli.standin.standin_keys import make_key
from svc_runtime.secret_bytes import SecretBytes
from tests.cluster.calling import REPLICAS, Caller, Protocol, meanwhile
from tests.cluster.scene import Scene
from tests.e2e.breaking import SERVED
from tests.e2e.evidence import upstream_requests
from tests.e2e.owners import alice, give_key

_CALLS: Final = 50
_PAUSE_SECONDS: Final = 0.3
_JOB_SECONDS: Final = 60.0
_VERIFIED_SECONDS: Final = 45.0


class Activity(Interface):
    """Something that goes on for as long as its context lasts, and then comes to a good end."""

    def __call__(
        self, scene: Scene, caller: Caller, protocol: Protocol
    ) -> AbstractAsyncContextManager[None]:
        """Begin it; the body runs while it is under way."""


@asynccontextmanager
async def idle(scene: Scene, caller: Caller, protocol: Protocol) -> AsyncIterator[None]:
    """Do nothing."""
    del scene, caller, protocol
    yield


@asynccontextmanager
async def calls(scene: Scene, caller: Caller, protocol: Protocol) -> AsyncIterator[None]:
    """Keep 50 calls in flight; after the fault has struck, with a pause after each."""
    begun = asyncio.Semaphore(0)

    async def call_on(number: int, is_over: asyncio.Event) -> None:
        key, replica = scene.keys[number % len(scene.keys)], REPLICAS[number % len(REPLICAS)]
        begun.release()
        while not is_over.is_set():
            protocol.calls.append(await caller.ask(key.name, replica))
            if protocol.fault_begin < math.inf:
                await asyncio.sleep(_PAUSE_SECONDS)

    async def all_call(is_over: asyncio.Event) -> None:
        await asyncio.gather(*(call_on(number, is_over) for number in range(_CALLS)))

    async with meanwhile(all_call):
        for _ in range(_CALLS):
            await begun.acquire()
        yield


@asynccontextmanager
async def rotation(scene: Scene, caller: Caller, protocol: Protocol) -> AsyncIterator[None]:
    """Rotate a key again and again, and call with it. In the end the last plaintext serves."""
    clients = scene.clients
    key = await give_key(clients, "rotating")
    tried: list[SecretBytes] = []
    done: list[SecretBytes] = []
    has_rotated = asyncio.Event()

    async def rotate() -> None:
        successor = make_key()
        tried.append(successor)
        owner = alice(clients, replica=REPLICAS[len(tried) % len(REPLICAS)])
        heard = await caller.hear(owner.rotate_key(key.name, successor))
        protocol.calls.append(heard)
        if heard.verdict == SERVED:
            done.append(successor)
            has_rotated.set()

    async def rotate_on(is_over: asyncio.Event) -> None:
        while not is_over.is_set():
            await rotate()
            protocol.calls.append(await caller.ask(key.name, REPLICAS[len(tried) % len(REPLICAS)]))

    async with meanwhile(rotate_on):
        await has_rotated.wait()
        yield
    await rotate()
    assert done[-1] is tried[-1]
    async with asyncio.timeout(_VERIFIED_SECONDS):
        # A gateway verifies it; there is no event to wait for.
        while (record := await alice(clients).get_key(key.name)).HasField("incoming"):  # noqa: ASYNC110 - as said above
            await asyncio.sleep(_PAUSE_SECONDS)
    assert record.state == key_pb.KEY_STATE_ACTIVE
    assert 1 + len(done) <= record.key_version <= 1 + len(tried)
    before = len(upstream_requests(clients, done[-1]))
    assert (await caller.ask(key.name, 1)).verdict == SERVED
    assert len(upstream_requests(clients, done[-1])) == before + 1
    await alice(clients).delete_key(key.name)


@asynccontextmanager
async def rewrap(scene: Scene, caller: Caller, protocol: Protocol) -> AsyncIterator[None]:
    """Run the job that takes all records to a new epoch; older ciphertexts open no more then."""
    del caller, protocol
    before = scene.epochs()
    settings = scene.clients.stack.layout.service_settings("keyvault-svc")
    job = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "keyvault_svc", "rewrap", "--config", str(settings)),
        *("--rate", "10", "--grace", "3"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        while scene.epochs()["latest_version"] == before["latest_version"]:  # noqa: ASYNC110 - another process does it
            await asyncio.sleep(_PAUSE_SECONDS / 3)
        yield
        async with asyncio.timeout(_JOB_SECONDS):
            output, _ = await job.communicate()
    finally:
        if job.returncode is None:
            job.kill()
            await job.wait()
    assert job.returncode == 0, output.decode()
    after = scene.epochs()
    assert after["latest_version"] == before["latest_version"] + 1
    assert after["min_decryption_version"] == after["latest_version"]


ACTIVITIES: Final[dict[str, Activity]] = {
    "idle": idle,
    "50 calls": calls,
    "rotation": rotation,
    "rewrap": rewrap,
}
