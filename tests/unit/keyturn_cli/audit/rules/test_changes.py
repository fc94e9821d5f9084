"""Administration outside of windows is told; what is none, or somebody else's, is not."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from keyturn_cli.audit.options import SECOND_US, Window
from tests.unit.keyturn_cli.audit.vault_lines import (
    MAINTENANCE,
    OTHER,
    START,
    Caller,
    Log,
    codes,
    judge,
)

_NOW_US = int(START.timestamp()) * SECOND_US
_CHANGES: Mapping[str, tuple[str, ...]] = {
    "POLICY_CHANGED": (
        "sys/policies/acl/gateway-svc",
        "sys/policy/x",
        "sys/policies/password/x",
        "sys/config/group-policy-application",
    ),
    "AUDIT_DEVICE_CHANGED": ("sys/audit/file", "sys/audit/test"),
    "AUDITED_HEADER_CHANGED": ("sys/config/auditing/request-headers/X-Keyturn-Lease",),
    "AUTH_METHOD_CHANGED": (
        "sys/auth/x",
        "sys/auth/keyturn-approle/tune",
        "sys/mounts/auth/keyturn-approle/tune",
    ),
    "LOGIN_ROLE_CHANGED": (
        "auth/keyturn-approle/role/gateway-svc",
        "auth/keyturn-approle/role/gateway-svc/policies",
        "auth/keyturn-approle/role/gateway-svc/bind-secret-id",
        "auth/keyturn-approle/role/gateway-svc/secret-id-bound-cidrs",
        "auth/keyturn-approle/role/gateway-svc/secret-id-num-uses",
        "auth/keyturn-approle/role/a-secret-id",
        "auth/people/users/secret-id",
        "auth/keyturn-kubernetes/config",
        "auth/keyturn-kubernetes/role/gateway-svc",
        "auth/keyturn-cert/certs/gateway-svc",
        "auth/people/users/alice/password",
        "auth/token/roles/x",
        "auth/ldap/groups/x",
    ),
    "SECRET_ID_MADE": (
        "auth/keyturn-approle/role/gateway-svc/secret-id",
        "auth/keyturn-approle/role/gateway-svc/custom-secret-id",
    ),
    "MOUNT_CHANGED": (
        "sys/mounts/keyturn-kv",
        "sys/mounts/keyturn-transit/tune",
        "sys/remount",
        "keyturn-kv/config",
        "sys/namespaces/x",
        "sys/replication/dr/primary/secondary-token",
        "sys/sync/destinations/aws-sm/x/associations/set",
        "sys/storage/raft/join",
        "sys/storage/raft/bootstrap/answer",
    ),
    "TRANSIT_KEY_CHANGED": (
        "keyturn-transit/keys/openai",
        "keyturn-transit/keys/openai/config",
        "keyturn-transit/keys/openai/trim",
        "keyturn-transit/keys/x/import",
        "keyturn-transit/cache-config",
    ),
    "TRANSIT_KEY_ROTATED": ("keyturn-transit/keys/fingerprint/rotate",),
    "TRANSIT_KEY_RESTORED": ("keyturn-transit/restore", "keyturn-transit/restore/openai"),
    "CA_CHANGED": (
        "keyturn-pki/roles/gateway-svc",
        "keyturn-pki/root/generate/internal",
        "keyturn-pki/root/sign-intermediate",
        "keyturn-pki/issuer/default",
        "keyturn-pki/config/issuers",
        "keyturn-pki/sign-verbatim/app",
    ),
    "IDENTITY_CHANGED": (
        "identity/entity",
        "identity/entity/id/1",
        "identity/entity/merge",
        "identity/entity-alias",
        "identity/group/name/operators",
        "identity/group-alias/id/1",
    ),
    "OIDC_CHANGED": ("identity/oidc/config", "identity/oidc/role/keyturn-owner"),
    "MFA_CHANGED": (
        "identity/mfa/method/totp/admin-generate",
        "identity/mfa/method/totp/1",
        "sys/mfa/method/duo/x",
    ),
    "PLUGIN_CHANGED": ("sys/plugins/catalog/auth/x", "sys/plugins/reload/backend"),
    "VAULT_SEALED": ("sys/seal",),
    "VAULT_STEPPED_DOWN": ("sys/step-down",),
    "SEAL_KEYS_CHANGED": ("sys/rekey/init", "sys/generate-root/attempt", "sys/rotate/root/init"),
    "SNAPSHOT_RESTORED": (
        "sys/storage/raft/snapshot",
        "sys/storage/raft/snapshot-force",
        "sys/storage/raft/snapshot-load",
    ),
    "SNAPSHOT_TAKEN": ("sys/storage/raft/snapshot-auto/config/x",),
}
_EVER = {
    "RAW_ACCESS": ("sys/raw", "sys/raw/core/keyring"),
    "TRANSIT_KEY_EXPORTED": (
        "keyturn-transit/export/encryption-key/openai",
        "keyturn-transit/backup/openai",
        "keyturn-transit/byok-export/x/openai",
    ),
}
_ADMIN = Caller("", ("admin",))
_BOOTSTRAP = Caller("", ("keyturn-bootstrap",))
_WINDOW = Window(_NOW_US, _NOW_US + 60 * SECOND_US)


def _pairs(table: Mapping[str, tuple[str, ...]]) -> list[tuple[str, str]]:
    return [(code, path) for code, paths in table.items() for path in paths]


def _found(caller: Caller, operation: str, path: str, *windows: Window) -> list[str]:
    log = Log()
    log.operation(caller, operation, path, answer={})
    return codes(judge(log.lines, windows=windows))


@pytest.mark.parametrize("operation", ["create", "update", "patch", "delete"])
@pytest.mark.parametrize(("code", "path"), _pairs(_CHANGES))
def test_a_change_is_told_by_its_code(code: str, path: str, operation: str) -> None:
    assert _found(_ADMIN, operation, path) == [code]


@pytest.mark.parametrize(("code", "path"), _pairs(_CHANGES))
def test_a_change_in_a_window_is_no_finding(code: str, path: str) -> None:
    outside = Window(_WINDOW.end_us, _WINDOW.end_us)

    assert _found(_ADMIN, "update", path, outside, _WINDOW) == []
    assert _found(_ADMIN, "update", path, outside) == [code]


@pytest.mark.parametrize(("_code", "path"), _pairs(_CHANGES))
def test_a_change_by_bootstraps_token_is_a_notice(_code: str, path: str) -> None:
    assert _found(_BOOTSTRAP, "update", path) == ["BOOTSTRAP_OUTSIDE_WINDOW"]


@pytest.mark.parametrize("policies", [("keyturn-bootstrap",), ("default", "keyturn-bootstrap")])
def test_a_bootstrap_by_its_own_login_is_known_as_one_with_a_token(
    policies: tuple[str, ...],
) -> None:
    job = Caller(
        "keyturn-bootstrap",
        policies,
        role_field="role",
        display_name="kubernetes-keyturn-keyturn-bootstrap",
    )

    told = _found(job, "update", "sys/policies/acl/gateway-svc")

    assert told == ["BOOTSTRAP_OUTSIDE_WINDOW"]
    assert _found(job, "update", "sys/policies/acl/gateway-svc", _WINDOW) == []


@pytest.mark.parametrize(("code", "path"), _pairs(_EVER))
def test_what_nobody_ever_does_is_told_in_windows_too(code: str, path: str) -> None:
    assert _found(_ADMIN, "read", path, _WINDOW) == [code]
    assert _found(_BOOTSTRAP, "read", path, _WINDOW) == [code]


@pytest.mark.parametrize(
    "path", [path for code, path in _pairs(_CHANGES) if code != "SNAPSHOT_RESTORED"]
)
def test_looking_changes_nothing(path: str) -> None:
    assert _found(_ADMIN, "read", path) == []
    assert _found(_ADMIN, "list", path) == []


@pytest.mark.parametrize(
    "path",
    [
        "secret/data/x",
        "sys/mounts/secret",
        "sys/mounts/keyturn-kv-other",
        "transit/keys/openai",
        "pki/roles/x",
        "auth/payroll/login/alice",
        "auth/keyturn-approle/login",
        "auth/keyturn-approle/role/gateway-svc/secret-id/lookup",
        "auth/keyturn-approle/role/gateway-svc/secret-id-accessor/lookup",
        "auth/token/revoke-self",
        "identity/lookup/entity",
        "identity/oidc/introspect",
        "keyturn-pki/issue/app",
        "sys/capabilities-self",
        "sys/wrapping/wrap",
        "sys/leases/lookup",
    ],
)
def test_what_is_no_change_of_ours_is_no_finding(path: str) -> None:
    assert _found(OTHER, "update", path) == []


@pytest.mark.parametrize("above", ["", "org/"])
def test_a_change_above_the_deployments_namespace_is_found(above: str) -> None:
    log = Log()
    for path in ("sys/policies/acl/x", "team/sys/policies/acl/x", "keyturn-kv/data/users/x/keys/y"):
        log.operation(_ADMIN, "update", f"{above}{path}", answer={})

    found = [finding.sentence for finding in judge(log.lines, namespace="org/team")]

    paths = ["sys/policies/acl/x", "org/team/sys/policies/acl/x"]
    assert found == [f"token changed a policy of Vault ({above}{p})." for p in paths[:1]] + (
        [f"token changed a policy of Vault ({paths[1]})."] if above else []
    )


def test_an_attempt_that_fails_changes_nothing() -> None:
    log = Log()
    log.operation(_ADMIN, "update", "sys/policies/acl/x", error="invalid request")

    assert judge(log.lines) == []


@pytest.mark.parametrize("path", ["sys/seal", "sys/step-down"])
def test_a_node_that_ends_does_not_log_that_it_did(path: str) -> None:
    log = Log()
    log.operation(_ADMIN, "update", path, is_answered=False)
    log.wait(300)
    log.operation(OTHER, "read", "secret/data/x")

    assert len(judge(log.lines)) == 1


def test_the_maintenance_job_rotates_and_retires_versions() -> None:
    path = "keyturn-transit/keys/openai"

    assert _found(MAINTENANCE, "update", f"{path}/rotate") == []
    assert _found(MAINTENANCE, "update", f"{path}/config") == ["TRANSIT_KEY_CHANGED"]


def test_a_snapshot_is_a_notice() -> None:
    assert _found(_ADMIN, "read", "sys/storage/raft/snapshot") == ["SNAPSHOT_TAKEN"]
