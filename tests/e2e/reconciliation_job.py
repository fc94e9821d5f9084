"""The job that reconciles, as operators run it, and what it works on."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import DEVNULL, PIPE
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai
from google.protobuf.field_mask_pb2 import FieldMask

from keyturn.keyvault.v1 import key_pb2 as key_pb
from keyturn.keyvault.v1 import key_service_pb2 as keys_pb
from keyturn_cli.local.layout import TRUST_DOMAIN
from keyturn_cli.standin.standin_keys import KeyKind, make_admin_key, openai_key_id
from tests.e2e.asking import QUESTION
from tests.e2e.clients import Clients
from tests.e2e.owners import OwnedKey, Owner, alice, give_key
from tests.live_files import whole_lines

ADMIN_KEY = "teams/operators/keys/openai-admin"
GATEWAY = f"spiffe://{TRUST_DOMAIN}/gateway-svc"
SETTINGS = f"""
[reconciliation]
admin_key = "{ADMIN_KEY}"
ready_after_hours = -24
tolerated_requests = 10
tolerated_tokens = 50
tolerated_percent = 0
"""


@dataclass(frozen=True)
class Run:
    """How one run of the job ended."""

    exit_code: int | None
    stdout: str
    stderr: str

    @property
    def report(self) -> dict[str, Any]:
        """What it printed, as JSON."""
        return dict(json.loads(self.stdout))

    def of(self, key: str) -> dict[str, Any]:
        """Return what it says of *key*."""
        (found,) = [one for one in self.report["keys"] if key in one["keys"]]
        return dict(found)


async def bring_admin_key(olga: Owner, kind: KeyKind) -> key_pb.Key:
    """Have olga bring an admin key of *kind*, in place of the one before."""
    if ADMIN_KEY in await olga.list_keys("teams/operators"):
        await olga.delete_key(ADMIN_KEY)
    await olga.create_key(ADMIN_KEY, make_admin_key(kind))
    return await olga.verified(ADMIN_KEY)


async def reconcile(clients: Clients, *options: str, as_json: bool = True) -> Run:
    """Run the job to its end."""
    settings = clients.stack.layout.service_settings("gateway-svc")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "gateway_svc", "reconcile", "--config", str(settings)),
        *(("--json",) if as_json else ()),
        *options,
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
    )
    stdout, stderr = await process.communicate()
    clients.keep(stdout.decode(), stderr.decode())
    with job_log(clients).open("ab") as log:
        log.writelines(line for line in stderr.splitlines(keepends=True) if line.startswith(b"{"))
    return Run(process.returncode, stdout.decode(), stderr.decode())


def job_log(clients: Clients) -> Path:
    """Return where the log of the runs is kept, beside the services' own."""
    return clients.stack.layout.logs_dir / "gateway-svc-reconcile.log"


async def identified_key(clients: Clients, use: str) -> OwnedKey:
    """Make a key of alice's, granted to the demo app, whose id at OpenAI she tells."""
    key = await give_key(clients, use)
    await identify(clients, key.name, openai_key_id(key.api_key.expose().decode()))
    return key


async def identify(clients: Clients, name: str, key_id: str) -> None:
    """Have alice tell the id of her key at OpenAI."""
    request = keys_pb.UpdateKeyRequest(
        key=key_pb.Key(name=name, openai_key_id=key_id),
        update_mask=FieldMask(paths=["openai_key_id"]),
    )
    await alice(clients).call("UpdateKey", request)


def standin(clients: Clients) -> str:
    """Return where the stand-in for OpenAI is."""
    return f"http://127.0.0.1:{clients.stack.ports['openai-standin']}"


async def use_elsewhere(clients: Clients, key: OwnedKey, times: int) -> None:
    """Use *key* at OpenAI directly, as somebody does who has a copy."""
    async with openai.AsyncOpenAI(
        base_url=f"{standin(clients)}/v1", api_key=key.api_key.expose().decode(), max_retries=0
    ) as client:
        for _ in range(times):
            await client.chat.completions.create(
                model=str(QUESTION["model"]), messages=[{"role": "user", "content": "hello " * 9}]
            )


def notices(clients: Clients, event: str, key: str) -> list[dict[str, Any]]:
    """Return what the key service has logged about *key* as *event*."""
    log = clients.stack.layout.logs_dir / "keyvault-svc.log"
    entries = [json.loads(line) for line in whole_lines(log) if event in line]
    return [e for e in entries if e.get("key") == key and event in e.values()]
