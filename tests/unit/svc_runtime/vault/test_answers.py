from __future__ import annotations

import json

import pytest

from svc_runtime.vault.answers import error_for, parse_object
from svc_runtime.vault.errors import (
    VaultBadRequestError,
    VaultConflictError,
    VaultNotFoundError,
    VaultPermissionError,
    VaultUnavailableError,
)

STALE = "check-and-set parameter did not match the current version"
UNMOUNTED = 'no handler for route "keyturn-kv/data/x". route entry not found.'
UPGRADING = (
    "Upgrading from non-versioned to versioned data. This backend will be unavailable for a "
    "brief period and will resume service shortly."
)


def _body(*errors: str) -> bytes:
    return json.dumps({"errors": errors}).encode()


@pytest.mark.parametrize("status", [301, 307, 405, 412, 429, 472, 473, 500, 502, 503, 504])
def test_whatever_does_not_judge_the_request_is_an_outage(status: int) -> None:
    assert error_for(status, _body(STALE)) is VaultUnavailableError


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        pytest.param(400, _body(STALE), VaultConflictError, id="stale check-and-set"),
        pytest.param(400, _body("invalid ciphertext"), VaultBadRequestError, id="ciphertext"),
        pytest.param(400, b"<html>", VaultBadRequestError, id="not JSON"),
        pytest.param(400, b'{"errors": null}', VaultBadRequestError, id="no errors"),
        pytest.param(400, _body(UPGRADING), VaultUnavailableError, id="KV still upgrading"),
        pytest.param(413, b"", VaultBadRequestError, id="too large"),
        pytest.param(403, _body("permission denied"), VaultPermissionError, id="denied"),
        pytest.param(404, _body(), VaultNotFoundError, id="nothing stored"),
        pytest.param(404, b'{"data": {"data": null}}', VaultNotFoundError, id="deleted version"),
        pytest.param(404, _body(UNMOUNTED), VaultUnavailableError, id="mount missing"),
    ],
)
def test_an_answer_means_what_vault_says(
    status: int, body: bytes, expected: type[Exception]
) -> None:
    assert error_for(status, body) is expected


def test_stored_text_cannot_pose_as_vaults_own_error() -> None:
    body = json.dumps({"data": {"metadata": {"custom_metadata": {"x": UNMOUNTED}}}}).encode()

    assert error_for(404, body) is VaultNotFoundError


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"text"', b"\xff"])
def test_only_an_object_is_an_answer(body: bytes) -> None:
    assert parse_object(body) is None


def test_an_object_is_parsed() -> None:
    assert parse_object(b'{"data": {"keys": ["a"]}}') == {"data": {"keys": ["a"]}}
