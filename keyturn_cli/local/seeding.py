"""The first key and the first grant of a local stack, made as their owner would."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from keyturn.keyvault.v1 import grant_pb2 as grant_pb
from keyturn.keyvault.v1 import key_pb2 as key_pb
from keyturn_cli.client_settings import ClientSettings, read_env_file
from keyturn_cli.local.layout import DEMO_APP, Layout
from keyturn_cli.owner_api import OwnerAPI, owner_api
from keyturn_cli.owner_token import parse_owner_token
from keyturn_cli.service_channels import CallOptions, new_request_id
from svc_runtime.secret_bytes import SecretBytes

_TIMEOUT_SECONDS: Final = 20.0
_VERIFICATION_SECONDS: Final = 20.0  # a gateway asks for work each second, and OpenAI may be slow
_POLL_SECONDS: Final = 0.1


async def seed(
    layout: Layout,
    key_name: str,
    api_key: SecretBytes,
    *,
    replaces: bool,
    log_in: Callable[[], SecretBytes] | None = None,
) -> key_pb.Key | None:
    """Give *api_key* into custody and grant it to the demo app, the first time only.

    Waits until a gateway has verified it, for at most 20 seconds.

    What the owner deletes or revokes later stays so.

    Args:
        layout: Where the stack lies; its `client.env` must hold a fresh owner token.
        key_name: Name under which the key is kept.
        api_key: The key.
        replaces: Whether a key that was seeded before is rotated to *api_key*.
        log_in: Logs the owner in, where the token of `client.env` is not enough.

    Returns:
        The key's record after its verification; None when nothing was done.

    Raises:
        CommandError: The key service refuses it, or does not answer.
    """
    seeded = _seeded(layout)
    is_first = key_name not in seeded
    if not is_first and not replaces:
        return None
    async with _owner(layout, log_in) as owner:
        exists = key_name in {key.name for key in await owner.list_keys(_parent(key_name))}
        if exists and replaces:
            await owner.rotate_key(key_name, api_key)
        # A run before this one may have come half way.
        if is_first and not exists:
            await owner.create_key(key_name, api_key)
        if is_first and not await _is_granted(owner, key_name):
            terms = grant_pb.Grant(app=DEMO_APP, models=["*"], endpoints=["*"])
            consent = await owner.get_consent_text()
            await owner.create_grant(key_name, terms, consent.version)
        is_changed = replaces if exists else is_first
        key = await _verified(owner, key_name) if is_changed else None
    if is_first:
        names = json.dumps([*seeded, key_name])
        layout.seeded_file.write_text(names + "\n", encoding="utf-8")
    return key


async def _verified(owner: OwnerAPI, key_name: str) -> key_pb.Key:
    """Return the record once its newest version is verified, or time is up."""
    give_up = time.monotonic() + _VERIFICATION_SECONDS
    while True:
        key = await owner.get_key(key_name)
        newest = key.incoming if key.HasField("incoming") else key
        is_open = newest.state == key_pb.KEY_STATE_PENDING and not newest.HasField("verification")
        if not is_open or time.monotonic() >= give_up:
            return key
        await asyncio.sleep(_POLL_SECONDS)


@asynccontextmanager
async def _owner(
    layout: Layout, log_in: Callable[[], SecretBytes] | None
) -> AsyncIterator[OwnerAPI]:
    settings = ClientSettings(
        env_file=layout.client_env,
        state_dir=layout.home,
        environment={},
        file_values=read_env_file(layout.client_env),
    )
    token = parse_owner_token(
        settings.require("KEYTURN_OWNER_TOKEN")
        if log_in is None
        else log_in().expose().decode("ascii"),
        "the local stack",
    )
    options = CallOptions(_TIMEOUT_SECONDS, new_request_id())
    async with owner_api(settings, token, options) as owner:
        yield owner


async def _is_granted(owner: OwnerAPI, key_name: str) -> bool:
    return any(grant.app == DEMO_APP for grant in await owner.list_grants(key_name))


def _parent(key_name: str) -> str:
    return key_name.partition("/keys/")[0]


def _seeded(layout: Layout) -> list[str]:
    try:
        names = json.loads(layout.seeded_file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [str(name) for name in names]
