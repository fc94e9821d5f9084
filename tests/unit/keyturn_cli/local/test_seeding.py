from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pytest

from keyturn_cli.command_error import CommandError
from keyturn_cli.local.layout import DEMO_APP, Layout
from keyturn_cli.local.seeding import seed
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.vault.errors import VaultUnavailableError
from tests.component.cli_stage import CertificateMaker, FakeServices, client_environment, serving

KEY = "users/alice/keys/standin"
OWN = "users/alice/keys/openai"


@pytest.fixture
def services() -> FakeServices:
    return FakeServices()


@pytest.fixture
def layout(tmp_path: Path, services: FakeServices) -> Iterator[Layout]:
    certificates = CertificateMaker(tmp_path, datetime.now(UTC))
    with serving(services, certificates) as (owner_port, gateway_port):
        client_environment(tmp_path, certificates, owner_port, gateway_port)
        yield Layout(tmp_path)


async def test_the_first_time_a_key_is_given_into_custody_and_granted_without_limits(
    layout: Layout, services: FakeServices
) -> None:
    await seed(layout, KEY, SecretBytes(b"sk-first"), replaces=False)

    [grant] = services.grants
    assert (list(services.keys), services.api_keys) == ([KEY], [b"sk-first"])
    assert (grant.app, list(grant.models), list(grant.endpoints)) == (DEMO_APP, ["*"], ["*"])
    assert (list(grant.source_cidrs), grant.HasField("expire_time")) == ([], False)
    assert json.loads(layout.seeded_file.read_text()) == [KEY]


async def test_the_next_time_nobody_is_asked(layout: Layout, services: FakeServices) -> None:
    await seed(layout, KEY, SecretBytes(b"sk-first"), replaces=False)
    services.calls.clear()

    await seed(layout, KEY, SecretBytes(b"sk-second"), replaces=False)

    assert services.calls == []


@pytest.mark.parametrize("replaces", [False, True])
async def test_a_deleted_key_does_not_come_back(
    layout: Layout, services: FakeServices, *, replaces: bool
) -> None:
    await seed(layout, KEY, SecretBytes(b"sk-first"), replaces=replaces)
    services.keys.clear()
    services.grants.clear()

    await seed(layout, KEY, SecretBytes(b"sk-second"), replaces=replaces)

    assert (services.keys, services.grants) == ({}, [])


async def test_an_own_key_is_rotated_and_its_revoked_grant_stays_revoked(
    layout: Layout, services: FakeServices
) -> None:
    await seed(layout, OWN, SecretBytes(b"sk-first"), replaces=True)
    services.grants.clear()

    await seed(layout, OWN, SecretBytes(b"sk-second"), replaces=True)

    assert services.api_keys == [b"sk-first", b"sk-second"]
    assert services.keys[OWN].key_version == 2
    assert services.grants == []


async def test_an_own_key_that_the_owner_added_by_hand_is_rotated_and_granted(
    layout: Layout, services: FakeServices
) -> None:
    services._put(OWN, b"sk-by-hand", 1)

    await seed(layout, OWN, SecretBytes(b"sk-first"), replaces=True)

    assert services.api_keys == [b"sk-by-hand", b"sk-first"]
    assert [grant.app for grant in services.grants] == [DEMO_APP]


async def test_a_run_that_came_half_way_is_completed(
    layout: Layout, services: FakeServices
) -> None:
    services._put(KEY, b"sk-first", 1)

    await seed(layout, KEY, SecretBytes(b"sk-second"), replaces=False)

    assert services.api_keys == [b"sk-first"]
    assert [grant.app for grant in services.grants] == [DEMO_APP]
    assert json.loads(layout.seeded_file.read_text()) == [KEY]


async def test_a_second_name_is_seeded_beside_the_first(
    layout: Layout, services: FakeServices
) -> None:
    for name in (KEY, OWN, KEY):
        await seed(layout, name, SecretBytes(b"sk-x"), replaces=False)

    assert list(services.keys) == [KEY, OWN]
    assert json.loads(layout.seeded_file.read_text()) == [KEY, OWN]


async def test_a_failure_is_told_and_tried_again_the_next_time(
    layout: Layout, services: FakeServices
) -> None:
    services.failure = (VaultUnavailableError(), grpc.StatusCode.UNAVAILABLE)
    with pytest.raises(CommandError) as caught:
        await seed(layout, KEY, SecretBytes(b"sk-first"), replaces=False)
    services.failure = None

    await seed(layout, KEY, SecretBytes(b"sk-first"), replaces=False)

    assert caught.value.reason == "VAULT_UNAVAILABLE"
    assert "sk-first" not in caught.value.format_message()
    assert list(services.keys) == [KEY]
