"""Administrators change things in windows: outside of them every change is told."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from keyturn_cli.audit.deployment import Act, Area, Deployment, Who
from keyturn_cli.audit.findings import Finding
from keyturn_cli.audit.operation_rule import OperationRule
from keyturn_cli.audit.operations import Operation

_CHANGE: Final = frozenset({"create", "update", "patch", "delete"})
_ANYTHING: Final = frozenset({*_CHANGE, "read", "list", "scan"})
_READ: Final = frozenset({"read"})
_AREAS: Final = frozenset({Area.ELSEWHERE, Area.TRANSIT, Area.KV_CONFIG})
_MAINTENANCE_CONFIG: Final = ("min_decryption_version",)


@dataclass(frozen=True, slots=True)
class _Watched:
    """Paths whose operations are told by one code.

    Attributes:
        pattern: Of the whole path; {kv}, {transit}, {pki} and {logins} are the deployment's mounts.
        is_ever: Whether also in a window.
    """

    code: str
    pattern: str
    operations: frozenset[str] = _CHANGE
    is_ever: bool = False


# The first that fits tells. Names of policies and the like are hashed in the log, so that a change
# of something that is not Keyturn's may give rights on what is.
_WATCHED: Final = (
    _Watched("RAW_ACCESS", r"sys/raw(/.*)?", _ANYTHING, is_ever=True),
    _Watched(
        "TRANSIT_KEY_EXPORTED", r"{transit}/(export|backup|byok-export)/.+", _ANYTHING, is_ever=True
    ),
    _Watched("TRANSIT_KEY_RESTORED", r"{transit}/restore(/.*)?"),
    _Watched("TRANSIT_KEY_ROTATED", r"{transit}/keys/[^/]+/rotate"),
    _Watched("TRANSIT_KEY_CHANGED", r"{transit}/(keys|config|cache-config|wrapping_key).*"),
    _Watched("POLICY_CHANGED", r"sys/(policy|policies)/.+"),
    _Watched("POLICY_CHANGED", r"sys/config/group-policy-application"),
    _Watched("AUDIT_DEVICE_CHANGED", r"sys/audit/.+"),
    _Watched("AUDITED_HEADER_CHANGED", r"sys/config/auditing/.+"),
    _Watched("AUTH_METHOD_CHANGED", r"sys/(mounts/)?auth/.+"),
    _Watched("MOUNT_CHANGED", r"sys/mounts/({kv}|{transit}|{pki})(/.*)?"),
    # What else has all of Vault, or all that lies in a mount, or a namespace.
    _Watched("MOUNT_CHANGED", r"sys/(namespaces|replication|sync)/.+"),
    _Watched(
        "MOUNT_CHANGED", r"sys/storage/raft/(join|remove-peer|promote|demote|bootstrap/answer)"
    ),
    _Watched("MOUNT_CHANGED", r"sys/remount"),
    _Watched("MOUNT_CHANGED", r"{kv}/config"),
    _Watched("PLUGIN_CHANGED", r"sys/plugins/.+"),
    _Watched("VAULT_SEALED", r"sys/seal"),
    _Watched("VAULT_STEPPED_DOWN", r"sys/step-down"),
    _Watched("SEAL_KEYS_CHANGED", r"sys/(rekey|rekey-recovery-key|generate-root)(/.*)?", _CHANGE),
    _Watched("SEAL_KEYS_CHANGED", r"sys/rotate/(root|recovery)(/.*)?"),
    _Watched("SNAPSHOT_TAKEN", r"sys/storage/raft/snapshot", _READ),
    _Watched("SNAPSHOT_TAKEN", r"sys/storage/raft/snapshot-auto/config/.+"),
    _Watched("SNAPSHOT_RESTORED", r"sys/storage/raft/snapshot(-force|-load(/.*)?)?"),
    _Watched("SECRET_ID_MADE", r"auth/({logins})/role/[^/]+/(custom-)?secret-id"),
    _Watched(
        "LOGIN_ROLE_CHANGED",
        # But for a role's credentials themselves, and looks at them.
        r"auth/.+/(role|roles|certs|users|groups|map|config|crls|sts|tidy-identities)"
        r"(/(?![^/]+/(custom-secret-id|secret-id|secret-id-accessor)(/|$)).*)?",
    ),
    _Watched("OIDC_CHANGED", r"identity/oidc/(config|key|role|client|assignment|scope)(/.*)?"),
    _Watched("OIDC_CHANGED", r"identity/oidc/provider/[^/]+"),
    _Watched("MFA_CHANGED", r"(identity/mfa|sys/mfa/method)/.+"),
    _Watched(
        "IDENTITY_CHANGED", r"identity/(entity|entity-alias|group|group-alias|alias|persona)(/.*)?"
    ),
    _Watched("CA_CHANGED", r"{pki}/(roles|root|intermediate|config|issuer|issuers|keys?)(/.*)?"),
    _Watched("CA_CHANGED", r"{pki}/sign-verbatim(/.*)?"),
)


class Changes(OperationRule):
    """Finds administration outside of windows, and what has no window at all."""

    def __init__(self, deployment: Deployment) -> None:
        options = deployment.options
        self._options = options
        names = {
            "kv": re.escape(options.kv_mount.strip("/")),
            "transit": re.escape(options.transit_mount.strip("/")),
            "pki": re.escape(options.pki_mount.strip("/")),
            "logins": "|".join(re.escape(mount.strip("/")) for mount in options.login_mounts),
        }
        self._watched = [(watched, _compiled(watched.pattern, names)) for watched in _WATCHED]

    def see(self, operation: Operation, act: Act) -> Iterator[Finding]:
        """Look at administration."""
        if not operation.is_done or act.area not in _AREAS:
            return
        watched = self._find(operation.entry.operation, act.path)
        if watched is None or _is_of_a_job(operation, act) or _is_of_vault(operation, act):
            return
        code = watched.code
        if not watched.is_ever:
            if self._options.is_expected(operation.entry.time_us):
                return
            if act.who is Who.BOOTSTRAP:
                code = "BOOTSTRAP_OUTSIDE_WINDOW"
        yield Finding(code, operation.entry.time_us, operation.places, operation.facts())

    def _find(self, operation: str, path: str) -> _Watched | None:
        for watched, pattern in self._watched:
            if operation in watched.operations and pattern.fullmatch(path):
                return watched
        return None


def _is_of_a_job(operation: Operation, act: Act) -> bool:
    """Return whether the maintenance job begins a new version, or retires old ones."""
    if act.who is not Who.MAINTENANCE or act.area is not Area.TRANSIT:
        return False
    fields = operation.entry.data_fields
    return act.name.endswith("/rotate") or (
        act.name.endswith("/config") and fields == _MAINTENANCE_CONFIG
    )


def _is_of_vault(operation: Operation, act: Act) -> bool:
    """Return whether Vault itself tries a device, as at its start: no client has asked."""
    entry = operation.entry
    is_try = act.path == "sys/audit/test" and not operation.is_answered
    return is_try and not entry.accessor and not entry.remote_address


def _compiled(pattern: str, names: dict[str, str]) -> re.Pattern[str]:
    for name, value in names.items():
        pattern = pattern.replace(f"{{{name}}}", value)
    return re.compile(pattern)
