"""The stacks that the end-to-end tests call."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from keyturn_cli.local.stack import LocalStack
from keyturn_cli.local.upstream import Upstream
from svc_runtime.secret_bytes import SecretBytes
from tests.e2e.clients import Clients


@pytest.fixture(scope="session")
def transcript() -> list[str]:
    """Everything that clients received in this session."""
    return []


@pytest.fixture(scope="session")
def clients(
    tmp_path_factory: pytest.TempPathFactory, canary_key: SecretBytes, transcript: list[str]
) -> Iterator[Clients]:
    """Clients of one stack for the whole session: two key services and two gateways.

    The canary key is the seeded one, `users/alice/keys/standin`, granted to the demo app.
    A test that stops or breaks a part uses `own_clients`.
    """
    home = tmp_path_factory.mktemp("stack") / "home"
    with LocalStack(home, Upstream(None, canary_key, "standin"), replicas=2) as stack:
        yield Clients(stack, transcript)


@pytest.fixture(scope="module")
def own_clients(
    tmp_path_factory: pytest.TempPathFactory, canary_key: SecretBytes, transcript: list[str]
) -> Iterator[Clients]:
    """Clients of a stack of the module's own, to be stopped, sealed and killed."""
    home = tmp_path_factory.mktemp("own-stack") / "home"
    with LocalStack(home, Upstream(None, canary_key, "standin")) as stack:
        yield Clients(stack, transcript)
