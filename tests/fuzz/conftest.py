"""The stack that the fuzz tests call, which must be as well at their end as at their start."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from keyturn_cli.local.stack import LocalStack
from keyturn_cli.local.upstream import Upstream
from svc_runtime.secret_bytes import SecretBytes
from tests.fuzz.target import Target


@pytest.fixture(scope="session")
def target_of_session(
    tmp_path_factory: pytest.TempPathFactory, canary_key: SecretBytes
) -> Iterator[Target]:
    """A stack of the fuzz tests' own, whose demo app uses the canary key by default."""
    home = tmp_path_factory.mktemp("fuzz-stack") / "home"
    with LocalStack(home, Upstream(None, canary_key, "standin")) as stack:
        yield Target(stack, canary_key)


@pytest.fixture
def target(target_of_session: Target) -> Iterator[Target]:
    """The gateway; it is the same process after the test, has met no fault, and serves."""
    faults = target_of_session.faults()
    pid = target_of_session.pid
    yield target_of_session
    assert target_of_session.pid == pid
    assert target_of_session.faults() == faults
    assert target_of_session.serves()
