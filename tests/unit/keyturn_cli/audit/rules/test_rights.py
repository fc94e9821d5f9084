"""What services may do is what their policies say, and no more."""

from __future__ import annotations

import re

import pytest

from keyturn_cli.audit.deployment import Who
from keyturn_cli.audit.rules.rights import RIGHTS
from tests.architecture.source_tree import ROOT
from tests.unit.keyturn_cli.audit.vault_lines import (
    GATEWAY,
    KEY_SERVICE,
    MAINTENANCE,
    Caller,
    Log,
    codes,
    judge,
)

_NAMES = {
    "kv": "keyturn-kv",
    "transit": "keyturn-transit",
    "key": "openai",
    "key_service": "keyvault-svc",
    "gateway": "gateway-svc",
}
_POLICIES = {
    Who.KEY_SERVICE: "keyvault-svc",
    Who.GATEWAY: "gateway-svc",
    Who.MAINTENANCE: "keyvault-maintenance",
}


@pytest.mark.parametrize("service", _POLICIES)
def test_the_rights_are_those_of_the_policy_that_is_shipped(service: Who) -> None:
    text = (ROOT / "deploy/vault/policies" / f"{_POLICIES[service]}.hcl").read_text()
    shipped = {
        path: set(re.findall(r'"([a-z]+)"', capabilities))
        for path, capabilities in re.findall(
            r'^path "([^"]+)" \{\s*capabilities\s*=\s*\[([^\]]*)\]', text, re.MULTILINE
        )
    }
    known = {path.format(**_NAMES): set(words.split()) for path, words in RIGHTS[service].items()}

    assert known == shipped


@pytest.mark.parametrize(
    ("caller", "operation", "path"),
    [
        (KEY_SERVICE, "read", "keyturn-kv/data/teams/payments/keys/openai"),
        (KEY_SERVICE, "list", "keyturn-kv/metadata/users/alice/keys/"),
        (KEY_SERVICE, "update", "auth/token/renew-self"),
        (GATEWAY, "update", "sys/wrapping/lookup"),
        (MAINTENANCE, "list", "keyturn-kv/metadata/users/"),
        (MAINTENANCE, "update", "keyturn-kv/data/users/alice/keys/openai"),
    ],
)
def test_what_a_policy_allows_is_no_finding(caller: Caller, operation: str, path: str) -> None:
    log = Log()
    log.operation(caller, operation, path)

    assert judge(log.lines) == []


@pytest.mark.parametrize(
    ("caller", "operation", "path"),
    [
        (KEY_SERVICE, "read", "keyturn-kv/data/users/alice/bob/keys/openai"),
        (KEY_SERVICE, "list", "keyturn-kv/metadata/users/"),
        (KEY_SERVICE, "update", "keyturn-kv/undelete/users/alice/keys/openai"),
        (KEY_SERVICE, "read", "secret/data/x"),
        (GATEWAY, "read", "sys/mounts"),
        (GATEWAY, "update", "auth/token/create"),
        (MAINTENANCE, "create", "keyturn-kv/data/users/alice/keys/openai"),
        (MAINTENANCE, "delete", "keyturn-kv/metadata/users/alice/keys/openai"),
    ],
)
def test_what_a_policy_does_not_allow_is_found(caller: Caller, operation: str, path: str) -> None:
    log = Log()
    log.operation(caller, operation, path)

    assert codes(judge(log.lines)) == ["SERVICE_BEYOND_RIGHTS"]


def test_mounts_and_roles_may_have_other_names() -> None:
    log = Log()
    reader = Caller("vault-a", ("vault-a",))
    log.operation(reader, "read", "team/kv/data/users/alice/keys/openai")
    log.operation(reader, "update", "team/transit/hmac/fingerprint")
    options = {
        "key_service_role": "vault-a",
        "kv_mount": "kv",
        "transit_mount": "transit/",
        "namespace": "team",
    }

    assert judge(log.lines, **options) == []
    assert judge(log.lines, **{**options, "namespace": "team/"}) == []
    assert codes(judge(log.lines, **{**options, "namespace": ""})) == ["SERVICE_BEYOND_RIGHTS"] * 2
