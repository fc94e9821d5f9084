"""What a local stack needs of Vault beyond the bootstrap: logins, certificates, an owner, an app.

In production the platform does this: cert-manager or SPIRE, Kubernetes auth, an OIDC issuer.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final, cast

import hvac
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from keyturn_cli.local.errors import LocalStackError
from keyturn_cli.local.layout import DEMO_APP, GROUPS, OTHER_APP, OWNER, TRUST_DOMAIN, Layout
from keyturn_cli.local.private_file import write_private_file
from keyturn_cli.local.totp import labelled, totp_code
from svc_runtime.clock import Clock
from svc_runtime.secret_bytes import SecretBytes

SERVICES: Final = ("keyvault-svc", "gateway-svc")
MAINTENANCE: Final = "keyvault-maintenance"
_PEOPLE_MOUNT: Final = "keyturn-people"
_SECOND_FACTOR_MOUNT: Final = "keyturn-people-mfa"
_TOTP: Final = "identity/mfa/method/totp"
_APPS_MOUNT: Final = "keyturn-apps"
_APP_USER: Final = "demo"


class LocalVault:
    """The administrator of the local stack's OpenBao.

    Every method raises LocalStackError when Vault refuses or does not answer.
    """

    def __init__(self, admin: hvac.Client, layout: Layout, clock: Clock) -> None:
        self._admin = admin
        self._layout = layout
        self._clock = clock

    def write_service_logins(self) -> None:
        """Write each service's and the maintenance job's AppRole credential, unless it is there."""
        for service in (*SERVICES, MAINTENANCE):
            role = f"auth/keyturn-approle/role/{service}"
            secret_id_file = self._layout.home / f"{service}.secret-id"
            role_id = self._read(f"{role}/role-id")["role_id"]
            write_private_file(self._layout.home / f"{service}.role-id", role_id.encode())
            if not secret_id_file.exists():
                secret_id = self._write(f"{role}/secret-id", {})["secret_id"]
                write_private_file(secret_id_file, secret_id.encode())

    def write_signing_keys(self) -> None:
        """Write what Vault tells of the keys that sign audit streams: their public halves."""
        keys = [{"data": self._read(f"keyturn-transit/keys/audit-{name}")} for name in SERVICES]
        text = "".join(json.dumps(key) + "\n" for key in keys)
        self._layout.signing_keys_file.write_text(text, encoding="ascii")

    def renew_certificates(self) -> None:
        """Issue each certificate that is missing or past half of its life."""
        self._layout.certificates_dir.mkdir(mode=0o700, exist_ok=True)
        for service in SERVICES:
            self._renew(
                service,
                service,
                {
                    "common_name": service,
                    "alt_names": "localhost",
                    "ip_sans": "127.0.0.1",
                    "uri_sans": f"spiffe://{TRUST_DOMAIN}/{service}",
                },
            )
        for app in (DEMO_APP, OTHER_APP):
            name = app.rpartition("/")[2]
            self._renew(f"app-{name}", "app", {"uri_sans": app})

    def ensure_owner(self) -> None:
        """Make the demo owner, with a password of their own."""
        self._ensure_person(OWNER)

    def ensure_operators(self) -> None:
        """Make an operator and an auditor, each with a password and a group of their own."""
        for person, group in GROUPS.items():
            entity_id = self._ensure_person(person)
            # Whoever else was made a member stays one.
            members = self._members(group) | {entity_id}
            self._write(f"identity/group/name/{group}", {"member_entity_ids": sorted(members)})

    def owner_token(self) -> SecretBytes:
        """Return an ID token of the demo owner."""
        password = self._layout.password_file.read_text(encoding="ascii")
        return self._id_token(_PEOPLE_MOUNT, OWNER, password, "keyturn-owner")

    def enrol_owner(self, *, anew: bool) -> str:
        """Give the demo owner a second factor; return what an authenticator app takes.

        It is kept beside the password, which is good for a demo on one machine and for nothing
        else: whoever reads this folder has both, and the root token.

        Args:
            anew: Whether to do so again, which makes codes of the one before worthless.
        """
        password = self._layout.password_file.read_text(encoding="ascii")
        entity_id = self._ensure_user(
            _SECOND_FACTOR_MOUNT, OWNER, password, "keyturn-owner-mfa", {}
        )
        file = self._layout.second_factor_file
        if anew or not file.exists():
            with _told_to_people():
                [method_id] = _data(self._admin.list(_TOTP))["keys"]
            person = {"method_id": method_id, "entity_id": entity_id}
            self._write(f"{_TOTP}/admin-destroy", person)
            uri = self._write(f"{_TOTP}/admin-generate", person)["url"]
            write_private_file(file, labelled(uri, OWNER).encode())
        return file.read_text(encoding="ascii")

    def second_factor_token(self) -> SecretBytes:
        """Return an ID token of the demo owner that says that both factors were shown."""
        password = self._layout.password_file.read_text(encoding="ascii")
        uri = self._layout.second_factor_file.read_text(encoding="ascii")
        code = totp_code(uri, self._clock.now())
        return self._id_token(_SECOND_FACTOR_MOUNT, OWNER, password, "keyturn-owner-mfa", code)

    def app_token(self) -> SecretBytes:
        """Return a token of the demo app. Its password lives no longer than this call."""
        password = secrets.token_urlsafe(24)
        self._ensure_user(_APPS_MOUNT, _APP_USER, password, "keyturn-app", {"spiffe_id": DEMO_APP})
        return self._id_token(_APPS_MOUNT, _APP_USER, password, "keyturn-app")

    def _ensure_person(self, person: str) -> str:
        """Make *person*, with a password that is kept, and return the id of their entity."""
        file = self._layout.password_file_of(person)
        if not file.exists():
            write_private_file(file, secrets.token_urlsafe(24).encode())
        password = file.read_text(encoding="ascii")
        return self._ensure_user(_PEOPLE_MOUNT, person, password, "keyturn-owner", {})

    def _members(self, group: str) -> set[str]:
        with _told_to_people():
            answer = self._admin.read(f"identity/group/name/{group}")
        return set(_data(answer).get("member_entity_ids") or [])

    def _ensure_user(
        self, mount: str, user: str, password: str, policy: str, metadata: dict[str, str]
    ) -> str:
        """Make a user, and the entity whose name and metadata its tokens carry; return its id."""
        self._write(
            f"auth/{mount}/users/{user}",
            {
                "password": password,
                "token_policies": [policy],
                "token_no_default_policy": True,
                "token_ttl": "5m",
            },
        )
        # Apps and people are told apart: an app must not be named like a person.
        entity_name = f"app:{user}" if mount == _APPS_MOUNT else user
        self._write(
            f"identity/entity/name/{entity_name}", {"metadata": metadata, "disabled": False}
        )
        entity_id = str(self._read(f"identity/entity/name/{entity_name}")["id"])
        mounts = self._read("sys/auth")
        self._write(
            "identity/entity-alias",
            {
                "name": user,
                "canonical_id": entity_id,
                "mount_accessor": mounts[f"{mount}/"]["accessor"],
            },
        )
        return entity_id

    def _id_token(
        self, mount: str, user: str, password: str, role: str, code: str = ""
    ) -> SecretBytes:
        person = hvac.Client(url=self._admin.url, session=self._admin.session)
        person.token = ""
        with _told_to_people():
            login = person.write_data(f"auth/{mount}/login/{user}", data={"password": password})
            auth = cast("dict[str, Any]", login)["auth"]
            if code:
                data = _validation(auth["mfa_requirement"], code)
                login = person.write_data("sys/mfa/validate", data=data)
                auth = cast("dict[str, Any]", login)["auth"]
            person.token = auth["client_token"]
            try:
                answer = _data(person.read(f"identity/oidc/token/{role}"))
            finally:
                person.auth.token.revoke_self()
        return SecretBytes(answer["token"].encode())

    def _renew(self, name: str, role: str, request: dict[str, str]) -> None:
        certificate_file, key_file = self._layout.certificate(name)
        if _is_fresh(certificate_file, key_file, self._clock.now()):
            return
        issued = self._write(f"keyturn-pki/issue/{role}", request)
        # The key first: a reader that sees one of the two only finds that they do not match.
        write_private_file(key_file, issued["private_key"].encode())
        chain = [issued["certificate"], *issued.get("ca_chain", [])]
        write_private_file(certificate_file, ("\n".join(chain) + "\n").encode())
        write_private_file(self._layout.ca_file, (issued["issuing_ca"] + "\n").encode())

    def _read(self, path: str) -> dict[str, Any]:
        with _told_to_people():
            answer = self._admin.read(path)
        if answer is None:
            raise LocalStackError(f"OpenBao does not know {path}: it was not set up for Keyturn.")
        return _data(answer)

    def _write(self, path: str, data: dict[str, Any]) -> dict[str, Any]:
        with _told_to_people():
            return _data(self._admin.write_data(path, data=data))


@contextmanager
def _told_to_people() -> Iterator[None]:
    """Turn what hvac raises, also when it cannot connect, into an error of the local stack."""
    try:
        yield
    except (hvac.exceptions.VaultError, OSError) as error:
        # Only the kind: the text holds the whole URL, and may quote what was sent.
        raise LocalStackError(f"OpenBao did not do its part: {type(error).__name__}.") from None


def _data(answer: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON, or a response without a body
    return answer["data"] or {} if isinstance(answer, dict) else {}


def _validation(requirement: dict[str, Any], code: str) -> dict[str, Any]:
    """Return what shows *code* for the one method that *requirement* names."""
    [constraint] = requirement["mfa_constraints"].values()
    [method] = constraint["any"]
    return {
        "mfa_request_id": requirement["mfa_request_id"],
        "mfa_payload": {method["id"]: [code]},
    }


def _is_fresh(certificate_file: Path, key_file: Path, now: datetime) -> bool:
    """Tell whether the two belong together and have not reached half of their life."""
    try:
        certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
        key = load_pem_private_key(key_file.read_bytes(), password=None)
    except (OSError, ValueError):
        return False
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    belongs = certificate.public_key() == key.public_key()
    return belongs and now < start + (end - start) / 2
