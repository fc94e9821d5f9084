from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from click.testing import Result

from gateway_svc.domain import errors as gateway_errors
from keyvault_svc.domain import errors as key_errors
from svc_runtime.service_error import CallerUnverifiedError, InvalidFieldError, ServiceError
from svc_runtime.vault.errors import VaultUnavailableError
from tests.component.cli_stage import (
    CertificateMaker,
    FakeServices,
    unsigned_token,
)

Run = Callable[..., Result]


REFUSALS: list[tuple[ServiceError, grpc.StatusCode, int]] = [
    (InvalidFieldError("name", "must be short"), grpc.StatusCode.INVALID_ARGUMENT, 2),
    (CallerUnverifiedError(), grpc.StatusCode.UNAUTHENTICATED, 3),
    (key_errors.NotTheOwnerError(), grpc.StatusCode.PERMISSION_DENIED, 3),
    (key_errors.KeyNotFoundError(), grpc.StatusCode.NOT_FOUND, 4),
    (key_errors.KeyChangedMeanwhileError(), grpc.StatusCode.ABORTED, 4),
    (VaultUnavailableError(), grpc.StatusCode.UNAVAILABLE, 5),
]


@pytest.mark.parametrize(
    ("error", "status", "exit_code"), REFUSALS, ids=[error.reason for error, _, _ in REFUSALS]
)
def test_a_refusal_is_told_with_reason_request_id_and_what_to_do(
    run: Run,
    services: FakeServices,
    error: ServiceError,
    status: grpc.StatusCode,
    exit_code: int,
) -> None:
    services.failure = (error, status)

    result = run("keys", "show", "openai")

    told, hint = result.stderr.splitlines()
    request_id = services.calls[0].metadata["x-keyturn-request-id"]
    assert result.exit_code == exit_code
    assert told == f"error: {error.public_message} ({error.reason}, request id {request_id})"
    assert hint.startswith("  ")


def test_openai_s_own_refusal_is_told_with_what_it_said(run: Run, services: FakeServices) -> None:
    said = {"http_status": "429", "code": "insufficient_quota", "message": "You are out of money."}
    error = gateway_errors.UpstreamRateLimitedError(said)
    services.failure = (error, grpc.StatusCode.RESOURCE_EXHAUSTED)

    result = run("chat", "Hi")

    assert result.exit_code == 6
    assert "HTTP 429, insufficient_quota, You are out of money." in result.stderr


def test_a_service_that_is_down_is_unavailable_and_no_refusal(run: Run) -> None:
    result = run("keys", "list", KEYTURN_KEYS_GRPC="127.0.0.1:1")

    assert result.exit_code == 5
    assert result.stderr.startswith("error: The key service at 127.0.0.1:1 does not answer.")


def test_a_service_of_another_ca_is_not_spoken_to(
    run: Run, services: FakeServices, tmp_path: Path
) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    other = CertificateMaker(folder, datetime.now(UTC))

    result = run("keys", "list", KEYTURN_CA=str(other.ca_file))

    assert (result.exit_code, services.calls) == (2, [])
    assert "is not trusted by KEYTURN_CA" in result.stderr


def test_an_expired_login_is_told_before_anything_is_sent(run: Run, services: FakeServices) -> None:
    expired = unsigned_token("alice", datetime.now(UTC) - timedelta(hours=1))

    result = run("keys", "list", KEYTURN_OWNER_TOKEN=expired)

    assert (result.exit_code, services.calls) == (3, [])
    assert result.stderr.endswith("Run `keyturn login`.\n")


def test_a_failure_after_some_pieces_stands_on_its_own_line(
    run: Run, services: FakeServices
) -> None:
    services.failure = (gateway_errors.UpstreamUnavailableError(), grpc.StatusCode.UNAVAILABLE)
    services.fails_after_pieces = True

    result = run("chat", "Hi")

    assert (result.exit_code, result.stdout) == (5, "Hello there.\n")
    assert "UPSTREAM_UNAVAILABLE" in result.stderr


def test_the_process_ends_with_the_documented_code_and_no_traceback(
    environment: dict[str, str],
) -> None:
    command = [sys.executable, "-m", "keyturn_cli", "chat", "Hi", "--timeout", "5"]
    variables = {**os.environ, **environment, "KEYTURN_GRPC": "127.0.0.1:1"}

    process = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)

    assert (process.returncode, process.stdout) == (5, "")
    assert process.stderr.count("\n") == 2
