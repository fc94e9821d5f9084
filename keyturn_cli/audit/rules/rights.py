"""What each service's policy allows, so that what it did beyond that is seen."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from keyturn_cli.audit.deployment import Act, Deployment, Who
from keyturn_cli.audit.findings import Finding
from keyturn_cli.audit.operation_rule import OperationRule
from keyturn_cli.audit.operations import Operation

# As the files in deploy/vault/policies have it: `+` is one segment; names in braces may differ.
_OWN_TOKEN: Final = {
    "auth/token/lookup-self": "read",
    "auth/token/renew-self": "update",
    "auth/token/revoke-self": "update",
}
# Anybody who holds a wrapping token may look at it: a policy of Vault's own.
_ANYBODY: Final = {"sys/wrapping/lookup": "read update create"}

RIGHTS: Final[Mapping[Who, Mapping[str, str]]] = {
    Who.KEY_SERVICE: {
        "{kv}/data/users/+/keys/+": "create read update",
        "{kv}/data/teams/+/keys/+": "create read update",
        "{kv}/destroy/users/+/keys/+": "update",
        "{kv}/destroy/teams/+/keys/+": "update",
        "{kv}/metadata/users/+/keys/+": "read delete",
        "{kv}/metadata/teams/+/keys/+": "read delete",
        "{kv}/metadata/users/+/keys/": "list",
        "{kv}/metadata/teams/+/keys/": "list",
        "{transit}/encrypt/{key}": "update",
        "{transit}/hmac/fingerprint": "update",
        "{transit}/sign/audit-{key_service}": "update",
        "{kv}/data/fingerprints/+": "create read update",
        "{kv}/destroy/fingerprints/+": "update",
        "{kv}/metadata/fingerprints/+": "read",
        "{kv}/data/grant-requests/+": "create read update",
        "{kv}/destroy/grant-requests/+": "update",
        "{kv}/metadata/grant-requests/+": "read delete",
        "{kv}/data/verifications/+": "create read update",
        "{kv}/metadata/verifications/": "list",
        "{kv}/metadata/verifications/+": "delete",
        "{kv}/data/retirements/+": "create read update",
        "{kv}/metadata/retirements/": "list",
        "{kv}/metadata/retirements/+": "delete",
        "{kv}/data/reconciled/+": "create read update",
        "{kv}/metadata/reconciled/": "list",
        "{kv}/metadata/reconciled/+": "delete",
        "{kv}/data/operator/controls": "create read update",
        "sys/wrapping/wrap": "update",
        **_OWN_TOKEN,
    },
    Who.GATEWAY: {
        "{transit}/decrypt/{key}": "update",
        "{transit}/sign/audit-{gateway}": "update",
        "sys/wrapping/unwrap": "update",
        **_OWN_TOKEN,
    },
    Who.MAINTENANCE: {
        "{kv}/metadata/users/": "list",
        "{kv}/metadata/teams/": "list",
        "{kv}/metadata/users/+/keys/": "list",
        "{kv}/metadata/teams/+/keys/": "list",
        "{kv}/data/users/+/keys/+": "read update",
        "{kv}/data/teams/+/keys/+": "read update",
        "{kv}/metadata/users/+/keys/+": "read",
        "{kv}/metadata/teams/+/keys/+": "read",
        "{kv}/destroy/users/+/keys/+": "update",
        "{kv}/destroy/teams/+/keys/+": "update",
        "{kv}/data/maintenance/rewrap": "create read update",
        "{kv}/metadata/maintenance/rewrap": "delete",
        "{transit}/rewrap/{key}": "update",
        "{transit}/keys/{key}": "read",
        "{transit}/keys/{key}/rotate": "update",
        "{transit}/keys/{key}/config": "update",
        **_OWN_TOKEN,
    },
}


class Rights(OperationRule):
    """Finds what a service did beyond its policy, as we ship it."""

    def __init__(self, deployment: Deployment) -> None:
        options = deployment.options
        names = {
            "kv": options.kv_mount.strip("/"),
            "transit": options.transit_mount.strip("/"),
            "key": options.transit_key,
            "key_service": options.key_service_role,
            "gateway": options.gateway_role,
        }
        self._allowed: dict[tuple[Who, str], re.Pattern[str]] = {}
        for service, rights in RIGHTS.items():
            for capability in {word for words in rights.values() for word in words.split()}:
                patterns = [
                    _regex(path.format(**names))
                    for path, words in {**rights, **_ANYBODY}.items()
                    if capability in words.split()
                ]
                self._allowed[service, capability] = re.compile("|".join(patterns))

    def see(self, operation: Operation, act: Act) -> Iterator[Finding]:
        """Look at what services did."""
        if act.who not in RIGHTS or not operation.is_done or _is_login(operation, act):
            return  # a login is no use of a policy
        allowed = self._allowed.get((act.who, operation.entry.operation))
        if allowed is None or not allowed.fullmatch(act.path):
            facts = operation.facts()
            yield Finding("SERVICE_BEYOND_RIGHTS", operation.entry.time_us, operation.places, facts)


def _is_login(operation: Operation, act: Act) -> bool:
    if operation.entry.issued_role:
        return True
    is_hidden = operation.entry.is_wrapped  # no log shows what role it is of
    return is_hidden and act.path.startswith("auth/") and "/login" in act.path


def _regex(path: str) -> str:
    segments = path.split("/")
    return "/".join("[^/]+" if segment == "+" else re.escape(segment) for segment in segments)
