from __future__ import annotations

import pytest

from svc_runtime.vault.operation import OPERATIONS, operation_of


@pytest.mark.parametrize(
    ("method", "path", "operation"),
    [
        ("get", "/v1/keyturn-kv/data/users/alice/keys/openai", "kv.read"),
        ("post", "/v1/keyturn-kv/data/users/alice/keys/openai", "kv.write"),
        ("put", "/v1/keyturn-kv/data/x", "kv.write"),
        ("get", "/v1/keyturn-kv/metadata/users/alice", "kv.read_metadata"),
        ("delete", "/v1/keyturn-kv/metadata/users/alice/keys/openai", "kv.delete"),
        ("put", "/v1/keyturn-kv/destroy/users/alice/keys/openai", "kv.destroy"),
        ("post", "/v1/keyturn-transit/encrypt/openai", "transit.encrypt"),
        ("post", "/v1/keyturn-transit/decrypt/openai", "transit.decrypt"),
        ("post", "/v1/keyturn-transit/rewrap/openai", "transit.rewrap"),
        ("post", "/v1/keyturn-transit/hmac/fingerprint/sha2-256", "transit.hmac"),
        ("post", "/v1/keyturn-transit/sign/audit-gateway", "transit.sign"),
        ("get", "/v1/keyturn-transit/keys/openai", "transit.read_key"),
        ("post", "/v1/keyturn-transit/keys/openai/rotate", "transit.write_key"),
        ("post", "/v1/sys/wrapping/wrap", "wrapping.wrap"),
        ("post", "/v1/sys/wrapping/lookup", "wrapping.lookup"),
        ("put", "/v1/sys/wrapping/unwrap", "wrapping.unwrap"),
        ("post", "/v1/auth/keyturn-approle/login", "auth.login"),
        ("post", "/v1/auth/keyturn-cert/login/x", "auth.login"),
        ("post", "/v1/auth/token/renew-self", "token.renew"),
        ("post", "/v1/auth/token/revoke-self", "token.revoke"),
        ("get", "/v1/auth/token/lookup-self", "token.lookup"),
    ],
)
def test_a_request_is_named_by_what_it_asks_for(method: str, path: str, operation: str) -> None:
    assert operation_of(method, path) == operation
    assert operation in OPERATIONS


def test_a_list_is_told_from_a_read() -> None:
    path = "/v1/keyturn-kv/metadata/users/alice/keys"

    assert operation_of("get", path, is_list=True) == "kv.list"


@pytest.mark.parametrize(
    "path",
    [
        "/v1/sys/health",
        "/v1/sys/data/x",
        "/v1/auth/data/x",
        "/v1/identity/oidc/token/x",
        "/v1/keyturn-kv",
        "/v1/",
        "",
        "/v1/keyturn-kv/users/alice",
    ],
)
def test_what_is_not_known_has_no_name_of_its_own(path: str) -> None:
    assert operation_of("get", path) == "other"
