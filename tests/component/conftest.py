"""Fixtures of the command's tests: the stage, and the command on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from keyturn_cli.__main__ import keyturn
from keyturn_cli.client_settings import MADE_BY, OF_ISSUER
from tests.component.cli_stage import (
    CertificateMaker,
    FakeServices,
    client_environment,
    serving,
)

Run = Callable[..., Result]


@pytest.fixture
def services() -> FakeServices:
    return FakeServices()


@pytest.fixture
def environment(
    tmp_path: Path, services: FakeServices, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, str]]:
    for name in (*MADE_BY, *OF_ISSUER):  # what a developer's shell may have sourced
        monkeypatch.delenv(name, raising=False)
    certificates = CertificateMaker(tmp_path, datetime.now(UTC))
    with serving(services, certificates) as (owner_port, gateway_port):
        yield client_environment(tmp_path, certificates, owner_port, gateway_port)


@pytest.fixture
def run(environment: dict[str, str]) -> Run:
    def run_command(*arguments: str, stdin: bytes = b"", **variables: str) -> Result:
        return CliRunner(env={**environment, **variables}).invoke(keyturn, arguments, input=stdin)

    return run_command
