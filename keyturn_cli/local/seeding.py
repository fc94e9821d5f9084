"""The first key and the first grant of a local stack, made as their owner would."""

from __future__ import annotations

import json
from typing import Final

from keyturn.keyvault.v1 import grant_pb2 as grant_pb
from keyturn_cli.client_settings import ClientSettings, read_env_file
from keyturn_cli.local.layout import DEMO_APP, Layout
from keyturn_cli.owner_api import OwnerAPI, owner_api
from keyturn_cli.owner_token import parse_owner_token
from keyturn_cli.service_channels import CallOptions, new_request_id
from svc_runtime.secret_bytes import SecretBytes

_TIMEOUT_SECONDS: Final = 20.0


async def seed(layout: Layout, key_name: str, api_key: SecretBytes) -> None:
    """Give *api_key* into custody and grant it to the demo app, the first time only.

    Raises:
        CommandError: The key service refuses it, or does not answer.
    """
    seeded = _seeded(layout)
    if key_name in seeded:
        return
    settings = ClientSettings(
        env_file=layout.client_env,
        state_dir=layout.home,
        environment={},
        file_values=read_env_file(layout.client_env),
    )
    token = parse_owner_token(settings.require("KEYTURN_OWNER_TOKEN"), "the local stack")
    options = CallOptions(_TIMEOUT_SECONDS, new_request_id())
    async with owner_api(settings, token, options) as owner:
        await _create(owner, key_name, api_key)
    layout.seeded_file.write_text(json.dumps([*seeded, key_name]) + "\n", encoding="utf-8")


async def _create(owner: OwnerAPI, key_name: str, api_key: SecretBytes) -> None:
    """Make key and grant. One that a run before this one left half done is completed."""
    parent = key_name.partition("/keys/")[0]
    if key_name not in {key.name for key in await owner.list_keys(parent)}:
        await owner.create_key(key_name, api_key)
    if not any(grant.app == DEMO_APP for grant in await owner.list_grants(key_name)):
        await owner.create_grant(
            key_name, grant_pb.Grant(app=DEMO_APP, models=["*"], endpoints=["*"])
        )


def _seeded(layout: Layout) -> list[str]:
    try:
        names = json.loads(layout.seeded_file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [str(name) for name in names]
