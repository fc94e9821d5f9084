"""An operator's side of each login: the mount, the role, and the credential's files."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Protocol

import hvac
import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from svc_runtime.vault.certificate_login import CertificateLogin
from svc_runtime.vault.login import JWTLogin, KubernetesLogin, VaultLogin
from svc_runtime.vault.token_file_login import TokenFileLogin
from tests.certs import Authority, write
from tests.integration.svc_runtime.fake_kubernetes_api import (
    NAMESPACE,
    SERVICE_ACCOUNT,
    FakeKubernetesAPI,
)

ROLE = "login-test"


class LoginSide(Protocol):
    """What an operator does for one login, and to it."""

    refusal: ClassVar[str]

    @property
    def login(self) -> VaultLogin: ...
    def set_up(self, ttl: str) -> None:
        """Make a role whose tokens live *ttl*, and put the right credential in place."""

    def put_wrong(self) -> None:
        """Put a well-formed credential in place that Vault refuses."""

    def put_right(self) -> None: ...
    def revoke(self) -> None:
        """Revoke the tokens in use."""


@dataclass
class _MountedSide:
    root: hvac.Client
    folder: Path
    method: ClassVar[str]
    refusal: ClassVar[str] = "Vault refused the credential"
    mount: str = field(default_factory=lambda: f"login-{uuid.uuid4()}")

    def revoke(self) -> None:
        self.root.sys.revoke_prefix(f"auth/{self.mount}/login")

    def _enable(self) -> None:
        self.root.sys.enable_auth_method(self.method, path=self.mount)

    def _write(self, path: str, **content: object) -> None:
        self.root.adapter.post(f"/v1/auth/{self.mount}/{path}", json=content)


@dataclass
class KubernetesSide(_MountedSide):
    method = "kubernetes"
    api: FakeKubernetesAPI = field(kw_only=True)

    @property
    def login(self) -> KubernetesLogin:
        return KubernetesLogin(self.mount, ROLE, self.folder / "token")

    def set_up(self, ttl: str) -> None:
        self._enable()
        self._write(
            "config",
            kubernetes_host=self.api.address,
            kubernetes_ca_cert=self.api.ca,
            disable_local_ca_jwt=True,
        )
        self._write(
            f"role/{ROLE}",
            bound_service_account_names=[SERVICE_ACCOUNT],
            bound_service_account_namespaces=[NAMESPACE],
            audience="vault",
            token_policies=["session-test"],
            token_ttl=ttl,
        )
        self.put_right()

    def put_wrong(self) -> None:
        foreign = ec.generate_private_key(ec.SECP256R1())
        self.login.token_file.write_text(self.api.issue_token(foreign))

    def put_right(self) -> None:
        self.login.token_file.write_text(self.api.issue_token() + "\n")


@dataclass
class JWTSide(_MountedSide):
    method = "jwt"
    _key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    @property
    def login(self) -> JWTLogin:
        return JWTLogin(self.mount, ROLE, self.folder / "jwt")

    def set_up(self, ttl: str) -> None:
        public = self._key.public_key().public_bytes(
            Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
        )
        self._enable()
        self._write("config", jwt_validation_pubkeys=[public.decode()])
        self._write(
            f"role/{ROLE}",
            role_type="jwt",
            user_claim="sub",
            bound_audiences=["vault"],
            bound_subject="keyvault-svc",
            token_policies=["session-test"],
            token_ttl=ttl,
        )
        self.put_right()

    def put_wrong(self) -> None:
        self._put(ec.generate_private_key(ec.SECP256R1()))

    def put_right(self) -> None:
        self._put(self._key)

    def _put(self, key: ec.EllipticCurvePrivateKey) -> None:
        now = int(time.time())
        claims = {"sub": "keyvault-svc", "aud": "vault", "iat": now, "nbf": now, "exp": now + 600}
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self.login.token_file.write_text(jwt.encode(claims, pem, algorithm="ES256"))


@dataclass
class CertificateSide(_MountedSide):
    method = "cert"
    serial: int = 0
    _authority: Authority = field(default_factory=Authority)

    @property
    def login(self) -> CertificateLogin:
        return CertificateLogin(self.mount, ROLE, self.folder / "tls.pem", self.folder / "tls.key")

    def set_up(self, ttl: str) -> None:
        self._enable()
        self._write(
            f"certs/{ROLE}",
            certificate=self._authority.pem.decode(),
            allowed_uri_sans=["spiffe://example.org/svc/keyvault"],
            token_policies=["session-test"],
            token_ttl=ttl,
        )
        self.put_right()

    def put_wrong(self) -> None:
        self._put(Authority("foreign CA"))

    def put_right(self) -> None:
        self._put(self._authority)

    def _put(self, authority: Authority) -> None:
        pair = authority.issue(uris=["spiffe://example.org/svc/keyvault"])
        self.serial = pair.serial
        write(self.folder, pair, authority.pem)


@dataclass
class TokenFileSide:
    """Does what a Vault agent does."""

    refusal: ClassVar[str] = "Vault refuses the token of the token file"
    root: hvac.Client
    folder: Path
    _ttl: str = ""
    _token: str = ""

    @property
    def login(self) -> TokenFileLogin:
        return TokenFileLogin(self.folder / "vault-token")

    def set_up(self, ttl: str) -> None:
        self._ttl = ttl
        self.put_right()

    def put_wrong(self) -> None:
        self.login.file.write_text("s.nobodyissuedthis")

    def put_right(self) -> None:
        answer = self.root.auth.token.create(
            policies=["session-test"], ttl=self._ttl, no_parent=True
        )
        self._token = answer["auth"]["client_token"]
        self.login.file.write_text(self._token + "\n")

    def renew(self) -> None:
        self.root.auth.token.renew(self._token)

    def revoke(self) -> None:
        """Revoke the token; put another one in its place, as an agent does that notices."""
        self.root.auth.token.revoke(self._token)
        self.put_right()
