from __future__ import annotations

import json

import pytest

from svc_runtime.vault.answers import error_for, is_of_the_node, parse_object, was_not_processed
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


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (503, "Vault is sealed"),
        (503, "node is not active"),
        (500, "local node not active but active cluster node not found"),
        (500, "active context canceled after getting state lock"),
    ],
)
def test_some_answers_say_that_vault_did_nothing(status: int, text: str) -> None:
    assert was_not_processed(status, _body(text))


@pytest.mark.parametrize(
    ("status", "body"),
    [
        pytest.param(503, _body("no active Vault instance found"), id="perhaps after forwarding"),
        pytest.param(503, _body("1 error occurred:\n\t* Vault is sealed\n\n"), id="on the way"),
        pytest.param(503, _body("Vault is sealed", "and more"), id="one of two errors"),
        pytest.param(500, _body("Vault is sealed"), id="with another status"),
        pytest.param(400, _body("Vault is sealed"), id="about the request"),
        pytest.param(500, _body("leadership lost while committing log"), id="perhaps committed"),
        pytest.param(500, _body("context canceled"), id="cut short"),
        pytest.param(307, b"", id="redirect"),
        pytest.param(503, b"Vault is sealed", id="not Vault's form"),
        pytest.param(502, b"<html>", id="a proxy"),
        pytest.param(429, _body("rate limit quota exceeded"), id="quota"),
        pytest.param(200, _body("Vault is sealed"), id="success"),
    ],
)
def test_no_other_answer_says_so(status: int, body: bytes) -> None:
    assert not was_not_processed(status, body)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (200, False),
        (204, False),
        (307, True),
        (400, False),
        (403, False),
        (429, False),
        (500, True),
        (503, True),
    ],
)
def test_redirects_and_failures_tell_of_the_node(status: int, expected: bool) -> None:  # noqa: FBT001  # a table's column
    assert is_of_the_node(status) is expected
