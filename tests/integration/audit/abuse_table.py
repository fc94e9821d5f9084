"""Each abuse, and the codes by which it is found."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Final

from tests.integration.audit import abuse
from tests.integration.audit.thief import Thief

_ROOT: Final = {"ROOT_TOKEN_USED"}
_CONTEXT: Final = base64.b64encode(b"users/bob/keys/openai").decode()
_PLAIN: Final = base64.b64encode(b"anything").decode()

ABUSES: Final[dict[str, tuple[Callable[[Thief], object], set[str]]]] = {
    "root reads a record": (lambda t: t.record(t.root), {"RECORD_READ_BY_OTHER"} | _ROOT),
    "root lists owners": (
        lambda t: t.root.list("keyturn-kv/metadata/users"),
        {"RECORDS_LISTED_BY_OTHER"} | _ROOT,
    ),
    "root writes a record": (
        lambda t: t.root.write_data(
            "keyturn-kv/data/users/eve/keys/x", data={"data": {}, "options": {"cas": 0}}
        ),
        {"RECORD_WRITTEN_BY_OTHER"} | _ROOT,
    ),
    "root destroys a record": (
        lambda t: t.root.delete("keyturn-kv/metadata/users/eve/keys/x"),
        {"RECORD_DESTROYED_BY_OTHER"} | _ROOT,
    ),
    "root brings a destroyed record back": (
        abuse.write("keyturn-kv/undelete/users/eve/keys/x", versions=[1]),
        {"RECORD_DESTROYED_BY_OTHER"} | _ROOT,
    ),
    "root ends all stops": (
        lambda t: t.root.delete("keyturn-kv/metadata/operator/controls"),
        {"CONTROLS_CHANGED_BY_OTHER"} | _ROOT,
    ),
    "root reads the queue of verifications": (
        lambda t: t.root.list("keyturn-kv/metadata/verifications"),
        {"NOTES_TOUCHED_BY_OTHER"} | _ROOT,
    ),
    "root opens a stolen sealed key": (
        lambda t: t.decrypt(t.root, t.stolen()),
        {"DECRYPT_BY_OTHER"} | _ROOT,
    ),
    "a made token of the gateway opens one": (
        lambda t: t.decrypt(t.token_of("gateway-svc"), t.stolen()),
        {"SERVICE_TOKEN_MADE", "DECRYPT_BY_OTHER"} | _ROOT,
    ),
    "a stolen login of the gateway opens one under a made up lease": (
        abuse.open_with_a_made_up_lease,
        {"DECRYPT_NOT_READ"},
    ),
    "a stolen login of the gateway opens one under no lease": (
        lambda t: t.decrypt(t.log_in("gateway-svc"), t.stolen()),
        {"DECRYPT_WITHOUT_LEASE"},
    ),
    "both logins are stolen, and a lease is used twice": (abuse.replay, {"LEASE_OPENED_TWICE"}),
    "both logins are stolen, and a stop would not have held": (
        abuse.skip_the_controls,
        {"CONTROLS_NOT_READ"},
    ),
    "the key service tries to open a key": (
        lambda t: t.decrypt(t.log_in("keyvault-svc"), t.stolen()),
        {"SERVICE_DENIED"},
    ),
    "the gateway tries to read a record": (abuse.try_to_read_as_the_gateway, {"SERVICE_DENIED"}),
    "the gateway tries to open many at once": (
        lambda t: t.decrypt(t.log_in("gateway-svc"), t.stolen(), batch=True),
        {"SERVICE_DENIED"},
    ),
    "the gateway opens many at once by a wide policy": (
        abuse.batch_with_a_wide_policy,
        {"POLICY_CHANGED", "DECRYPT_BATCHED", "DECRYPT_WITHOUT_LEASE"} | _ROOT,
    ),
    "the gateway reads a record by a wide policy": (
        abuse.let_the_gateway_read,
        {"POLICY_CHANGED", "RECORD_READ_BY_OTHER", "SERVICE_BEYOND_RIGHTS"} | _ROOT,
    ),
    "the gateway issues a certificate by a wide policy": (
        abuse.let_the_gateway_issue_certificates,
        {"POLICY_CHANGED", "SERVICE_BEYOND_RIGHTS"} | _ROOT,
    ),
    "a person's token tries to read a record": (
        abuse.try_to_read_as_a_person,
        {"OTHER_DENIED"} | _ROOT,
    ),
    "a wrapped key is stolen with its token alone": (
        abuse.steal_a_wrapped_key,
        {"HANDOFF_TOUCHED_BY_OTHER", "HANDOFF_REFUSED"},
    ),
    "a wrapped key is stolen by somebody with a token": (
        abuse.steal_a_wrapped_key_with_another_token,
        {"HANDOFF_TOUCHED_BY_OTHER"} | _ROOT,
    ),
    "a stolen login of the key service reads a record that Vault wraps": (
        abuse.read_a_record_wrapped,
        {"ANSWER_WRAPPED"},
    ),
    "a stolen secret id logs in, and Vault wraps the token": (
        abuse.log_in_wrapped,
        {"ANSWER_WRAPPED"},
    ),
    "root makes a token that looks like the gateway's, wrapped": (
        abuse.take_a_token_for_the_gateways,
        {"DECRYPT_BY_OTHER", "SERVICE_TOKEN_MADE"} | _ROOT,
    ),
    "root seals a key of its own": (
        abuse.write("keyturn-transit/encrypt/openai", plaintext=_PLAIN, context=_CONTEXT),
        {"ENCRYPT_BY_OTHER"} | _ROOT,
    ),
    "root asks for a fingerprint": (
        abuse.write("keyturn-transit/hmac/fingerprint", input=_PLAIN),
        {"HMAC_BY_OTHER"} | _ROOT,
    ),
    "root signs for a service": (
        abuse.write("keyturn-transit/sign/audit-gateway-svc", input=_PLAIN),
        {"SIGN_BY_OTHER", "SIGNATURE_UNEXPLAINED"} | _ROOT,
    ),
    "root seals a key anew": (abuse.rewrap_by_root, {"REWRAP_BY_OTHER"} | _ROOT),
    "root rotates the transit key": (
        abuse.write("keyturn-transit/keys/openai/rotate"),
        {"TRANSIT_KEY_ROTATED"} | _ROOT,
    ),
    "root exports the transit key": (
        abuse.export_the_transit_key,
        {"TRANSIT_KEY_CHANGED", "TRANSIT_KEY_EXPORTED"} | _ROOT,
    ),
    "root backs the transit key up": (
        abuse.back_up_the_transit_key,
        {"TRANSIT_KEY_CHANGED", "TRANSIT_KEY_EXPORTED"} | _ROOT,
    ),
    "root hides the leases from the log": (
        abuse.hide_a_header,
        {"AUDITED_HEADER_CHANGED", "DECRYPT_WITHOUT_LEASE"} | _ROOT,
    ),
    "root adds a way to log in": (
        abuse.write("sys/auth/elsewhere", type="userpass"),
        {"AUTH_METHOD_CHANGED"} | _ROOT,
    ),
    "root changes a service's role": (
        abuse.write("auth/keyturn-approle/role/gateway-svc", token_ttl="14m"),
        {"LOGIN_ROLE_CHANGED"} | _ROOT,
    ),
    "root changes what the gateway's secret ids are good for": (
        abuse.change_what_a_login_asks_for,
        {"LOGIN_ROLE_CHANGED"} | _ROOT,
    ),
    "root makes a role whose name hides it": (
        abuse.write("auth/keyturn-approle/role/a-secret-id", token_policies="gateway-svc"),
        {"LOGIN_ROLE_CHANGED"} | _ROOT,
    ),
    "root tunes a login as a mount": (
        abuse.write("sys/mounts/auth/keyturn-approle/tune", max_lease_ttl="1h"),
        {"AUTH_METHOD_CHANGED"} | _ROOT,
    ),
    "root changes what is kept of a record": (
        lambda t: t.root.write_data(
            f"keyturn-kv/metadata/{t.key}", data={"delete_version_after": "0s"}
        ),
        {"RECORD_WRITTEN_BY_OTHER"} | _ROOT,
    ),
    "root makes a namespace": (
        abuse.write("sys/namespaces/elsewhere"),
        {"MOUNT_CHANGED"} | _ROOT,
    ),
    "a batch token tries to read a record": (
        abuse.try_to_read_with_a_batch_token,
        {"OTHER_DENIED"} | _ROOT,
    ),
    "root makes a secret id": (abuse.make_a_secret_id, {"SECRET_ID_MADE"} | _ROOT),
    "root lets a person log in as the gateway": (
        abuse.log_in_as_the_gateway_another_way,
        {"LOGIN_ROLE_CHANGED", "SERVICE_TOKEN_MADE"} | _ROOT,
    ),
    "root gives the gateway the key service's policy": (
        abuse.give_the_gateways_entity_more,
        {"IDENTITY_CHANGED", "SERVICE_HAS_MORE"} | _ROOT,
    ),
    "root makes a root token": (lambda t: t.token_of("root"), {"ROOT_TOKEN_MADE"} | _ROOT),
    "root tunes the mount of records": (
        abuse.write("sys/mounts/keyturn-kv/tune", max_lease_ttl="1h"),
        {"MOUNT_CHANGED"} | _ROOT,
    ),
    "root changes whom the CA certifies": (
        abuse.write("keyturn-pki/roles/app", allow_any_name=True),
        {"CA_CHANGED"} | _ROOT,
    ),
    "root changes what tokens of people say": (
        abuse.write("identity/oidc/key/keyturn", allowed_client_ids="*"),
        {"OIDC_CHANGED"} | _ROOT,
    ),
    "root removes the second factor": (
        lambda t: t.root.delete("identity/mfa/login-enforcement/keyturn-people-mfa"),
        {"MFA_CHANGED"} | _ROOT,
    ),
    "root takes a snapshot": (abuse.snapshot, {"SNAPSHOT_TAKEN"} | _ROOT),
    "bootstrap runs again": (
        abuse.bootstrap_again,
        {"POLICY_CHANGED", "BOOTSTRAP_OUTSIDE_WINDOW"} | _ROOT,
    ),
}
