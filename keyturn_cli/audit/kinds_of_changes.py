"""Codes about administration: what changed outside of the time for it, and who logged in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from keyturn_cli.audit.finding_kind import FindingKind, finding, notice

_EXPECTED: Final = (
    "If it was meant, name its time by --window; if not, undo it and revoke the token that did it."
)
_DRIFT: Final = "See what differs from bootstrap (`keyturn doctor`). " + _EXPECTED

KINDS_OF_CHANGES: Final[Mapping[str, FindingKind]] = {
    "POLICY_CHANGED": finding("{who} changed a policy of Vault ({path}).", _DRIFT),
    "AUDIT_DEVICE_CHANGED": finding(
        "{who} changed where Vault writes its audit log ({path}).",
        "What another device did not get cannot be verified: ask for its log. " + _EXPECTED,
    ),
    "AUDITED_HEADER_CHANGED": finding(
        "{who} changed which headers Vault's audit log shows ({path}).", _DRIFT
    ),
    "AUTH_METHOD_CHANGED": finding("{who} changed a way to log in ({path}).", _DRIFT),
    "LOGIN_ROLE_CHANGED": finding("{who} changed who may log in as what ({path}).", _DRIFT),
    "SECRET_ID_MADE": finding(
        "{who} made a credential for a service's login ({path}).",
        "Somebody may log in as that service. " + _EXPECTED,
    ),
    "MOUNT_CHANGED": finding("{who} changed where or how sealed keys are kept ({path}).", _DRIFT),
    "TRANSIT_KEY_CHANGED": finding(
        "{who} changed a key that seals or signs ({operation} {path}).", _DRIFT
    ),
    "TRANSIT_KEY_ROTATED": finding(
        "{who}, who is not the maintenance job, began a new version of a key ({path}).", _EXPECTED
    ),
    "TRANSIT_KEY_EXPORTED": finding(
        "{who} took a key that seals or signs out of Vault ({path}).",
        "Whoever has it opens every sealed key without Vault: rotate it, run the rewrap job, and "
        "have owners rotate their keys at OpenAI.",
    ),
    "TRANSIT_KEY_RESTORED": finding("{who} put a key that seals back from a backup.", _EXPECTED),
    "CA_CHANGED": finding(
        "{who} changed whom the certificate authority certifies ({path}).", _DRIFT
    ),
    "IDENTITY_CHANGED": finding("{who} changed a person, an app or a group ({path}).", _EXPECTED),
    "OIDC_CHANGED": finding(
        "{who} changed how Vault issues tokens to people and apps ({path}).", _DRIFT
    ),
    "MFA_CHANGED": finding(
        "{who} changed a second factor, or where one is asked ({path}).", _DRIFT
    ),
    "PLUGIN_CHANGED": finding(
        "{who} changed which programs Vault runs ({path}).",
        "Such a program sees what passes through it. " + _EXPECTED,
    ),
    "VAULT_SEALED": finding("{who} sealed Vault.", _EXPECTED),
    "VAULT_STEPPED_DOWN": finding("{who} had another node of Vault take over.", _EXPECTED),
    "SEAL_KEYS_CHANGED": finding(
        "{who} began or ended a change of the keys that unseal Vault ({path}).", _EXPECTED
    ),
    "RAW_ACCESS": finding(
        "{who} reached into Vault's storage itself ({operation} {path}).",
        "No policy guards that: switch `raw_storage_endpoint` off, and revoke the token.",
    ),
    "SNAPSHOT_TAKEN": notice(
        "{who} took a snapshot of Vault.", "See that it lies where backups lie, and nowhere else."
    ),
    "SNAPSHOT_RESTORED": finding(
        "{who} put a snapshot in place of what Vault held ({path}).",
        "Older records and older policies hold again, revoked grants included. " + _EXPECTED,
    ),
    "BOOTSTRAP_OUTSIDE_WINDOW": notice(
        "The bootstrap's token was used outside of a window ({operation} {path}).", _EXPECTED
    ),
    "ROOT_TOKEN_MADE": finding("{who} made a root token ({path}).", "Revoke it. " + _EXPECTED),
    "ROOT_TOKEN_USED": finding(
        "A root token was used outside of a window, first for {operation} {path}.",
        "Nothing bounds it. " + _EXPECTED,
    ),
    "SERVICE_TOKEN_MADE": finding(
        "{who} got a token of {policies} by another way than that service's login ({path}).",
        "Whoever holds it can do what the service can. Revoke it; see who may make such tokens.",
    ),
    "SERVICE_HAS_MORE": finding(
        "A token of {who} has more policies than its own: {policies}.",
        "Dual control may be undone: give the role its one policy, without the default one, and "
        "look for groups and entities that add others.",
    ),
    "SERVICE_FROM_ELSEWHERE": finding(
        "{who} came from {address}, which is no network of the services ({path}).",
        "A stolen credential, or a network that --service-network lacks. Take the secret id back "
        "if nobody knows that address.",
    ),
}
