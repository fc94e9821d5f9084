"""A choice of each way to log in, for one deployment."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from keyturn_cli.local.openbao_server import OpenBaoServer
from keyvault_svc.vault.bootstrap import BootstrapOptions, StepOutcome, run_bootstrap
from keyvault_svc.vault.bootstrap.login_options import (
    LOGINS,
    AppRoleLogins,
    CertificateLogins,
    JWTLogins,
    KubernetesLogins,
    LoginOptions,
)
from tests.certs import Authority

ACCOUNTS = {login: f"keyturn/{login}" for login in LOGINS}
SUBJECTS = {login: f"sub-{login}" for login in LOGINS}
AUTHORITY = Authority("logins")
SIGNING_KEY = ec.generate_private_key(ec.SECP256R1())
FOREIGN_KEY = ec.generate_private_key(ec.SECP256R1())
ROLES = {
    "approle": "auth/keyturn-approle/role",
    "kubernetes": "auth/keyturn-kubernetes/role",
    "certificate": "auth/keyturn-cert/certs",
    "jwt": "auth/keyturn-jwt/role",
}


def login_choices(folder: Path) -> dict[str, LoginOptions]:
    """Return the options of each kind, with their files in *folder*."""
    ca, keys = folder / "ca.pem", folder / "keys.pem"
    ca.write_bytes(AUTHORITY.pem)
    keys.write_bytes(public_pem(SIGNING_KEY) + public_pem(ec.generate_private_key(ec.SECP256R1())))
    return {
        "approle": AppRoleLogins(),
        "kubernetes": KubernetesLogins(
            "https://127.0.0.1:1", ACCOUNTS, "vault", ca, is_reviewed_by_vault=False
        ),
        "certificate": CertificateLogins(ca, {"gateway-svc": ["spiffe://other.test/gw"]}),
        "jwt": JWTLogins(["vault"], SUBJECTS, "https://issuer.test", public_keys_file=keys),
    }


def base_options() -> BootstrapOptions:
    """Return options with logins by AppRole, and without an issuer."""
    return BootstrapOptions(
        policy_dir=Path(__file__).resolve().parents[3] / "deploy/vault/policies",
        trust_domain="keyturn.test",
        issuer=None,
        audit_file=None,
        owner_token_ttl_seconds=3600,
        app_token_ttl_seconds=600,
    )


def wrong(
    server: OpenBaoServer, options: BootstrapOptions, *, dry_run: bool
) -> dict[str, tuple[StepOutcome, str]]:
    """Run once, and return what was not right already."""
    results = run_bootstrap(server.client(), options, dry_run=dry_run, report=lambda _: None)
    return {r.name: (r.outcome, r.detail) for r in results if r.outcome is not StepOutcome.OK}


def public_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
