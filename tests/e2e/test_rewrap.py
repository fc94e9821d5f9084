"""A new epoch under load: `keyvault-svc rewrap` beside apps that call."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import re
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import hvac
import pytest

from tests.e2e.asking import SERVED, ask
from tests.e2e.clients import Clients
from tests.e2e.owners import give_key

pytestmark = pytest.mark.timeout(180)
KEYS = 6
KILL_AFTER_SECONDS = (0.4, 0.9, 1.4, 2.0)


async def _start(clients: Clients, *options: str) -> Process:
    settings = clients.stack.layout.service_settings("keyvault-svc")
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "keyvault_svc", "rewrap", "--config", str(settings)),
        *("--grace", "1", *options),
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
    )


@asynccontextmanager
async def _calling(clients: Clients, names: list[str]) -> AsyncIterator[list[str]]:
    """Let an app call with each key in turn, and collect what it hears."""
    heard: list[str] = []

    async def call() -> None:
        for name in itertools.cycle(names):
            heard.append(await ask(clients, name))  # noqa: PERF401 - it must be seen as it comes

    task = asyncio.create_task(call())
    try:
        yield heard
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _record(clients: Clients, name: str) -> dict[str, Any]:
    kv = clients.stack.openbao.client().secrets.kv.v2
    answer = kv.read_secret_version(name, mount_point="keyturn-kv", raise_on_deleted_version=True)
    return dict(json.loads(answer["data"]["data"]["record"]))


def _transit_key(clients: Clients) -> dict[str, Any]:
    answer = clients.stack.openbao.client().read("keyturn-transit/keys/openai")
    return dict(answer["data"])


async def test_calls_go_on_and_old_ciphertexts_open_no_more(own_clients: Clients) -> None:
    names = [(await give_key(own_clients, f"epoch-{n}")).name for n in range(KEYS)]
    before, old = _transit_key(own_clients), _record(own_clients, names[0])
    async with _calling(own_clients, names) as heard:
        job = await _start(own_clients, "--rate", "100")
        told, progress = await job.communicate()

    after = _transit_key(own_clients)
    assert job.returncode == 0
    assert set(heard) == {SERVED}
    assert after["latest_version"] == before["latest_version"] + 1
    assert after["min_decryption_version"] == after["latest_version"]
    sealed = {_record(own_clients, name)["current"]["sealed_key"].split(":")[1] for name in names}
    assert sealed == {f"v{after['latest_version']}"}
    assert re.search(rb"^rewrapping: (\d+) of \1 owners, rewrapped ", progress, re.MULTILINE)
    assert b"\r" not in progress  # no bar where nobody watches
    assert f"the transit key is at version {after['latest_version']}" in told.decode()
    assert [await ask(own_clients, name) for name in names] == [SERVED] * KEYS
    with pytest.raises(hvac.exceptions.InvalidRequest):
        own_clients.stack.openbao.client().write_data(
            "keyturn-transit/decrypt/openai",
            data={"ciphertext": old["current"]["sealed_key"], "context": _context(names[0])},
        )


async def test_a_job_that_is_killed_again_and_again_loses_nothing(own_clients: Clients) -> None:
    names = [(await give_key(own_clients, f"killed-{n}")).name for n in range(KEYS)]
    before = _transit_key(own_clients)
    async with _calling(own_clients, names) as heard:
        for seconds in KILL_AFTER_SECONDS:
            job = await _start(own_clients, "--rate", "5")
            await asyncio.wait({asyncio.create_task(job.wait())}, timeout=seconds)
            if job.returncode is None:
                job.kill()
                await job.communicate()
        last = await _start(own_clients, "--rate", "100")
        await last.communicate()

    after = _transit_key(own_clients)
    assert last.returncode == 0
    assert set(heard) == {SERVED}
    # One rotation, however often it began.
    assert after["latest_version"] == before["latest_version"] + 1
    assert after["min_decryption_version"] == after["latest_version"]
    assert [await ask(own_clients, name) for name in names] == [SERVED] * KEYS
    assert own_clients.stack.openbao.client().list("keyturn-kv/metadata/maintenance") is None


def _context(name: str) -> str:
    return base64.b64encode(name.encode()).decode()
