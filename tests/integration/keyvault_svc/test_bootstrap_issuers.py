"""What a bootstrapped server issues: certificates for workloads, tokens for people and apps."""

from __future__ import annotations

import ipaddress
from datetime import timedelta
from pathlib import Path
from typing import Any

import hvac
import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hvac.exceptions import Forbidden, InvalidRequest

from keyturn_cli.local.openbao_server import OpenBaoServer
from keyvault_svc.vault.bootstrap import BootstrapOptions, run_bootstrap

ISSUER = "https://vault.keyturn.test:8200"
DOMAIN = "spiffe://keyturn.test"
CLIENT_ONLY = {ExtendedKeyUsageOID.CLIENT_AUTH}
CLIENT_AND_SERVER = {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH}
SERVICE_NAMES = {
    "keyvault-svc": ["keyvault-svc", "localhost"],
    "gateway-svc": ["gateway-svc", "localhost", "gateway.keyturn.test"],
}


@pytest.fixture(scope="module")
def admin(empty_openbao: OpenBaoServer) -> hvac.Client:
    options = BootstrapOptions(
        policy_dir=Path(__file__).resolve().parents[3] / "deploy/vault/policies",
        trust_domain="keyturn.test",
        issuer=ISSUER,
        audit_file=None,
        owner_token_ttl_seconds=3600,
        app_token_ttl_seconds=600,
        certificate_ttl_seconds=7200,
        dns_names={"gateway-svc": ["gateway.keyturn.test"]},
    )
    client = empty_openbao.client()
    run_bootstrap(client, options, dry_run=False, report=lambda _: None)
    return client


def _issue(admin: hvac.Client, role: str, **names: str) -> x509.Certificate:
    answer = admin.write_data(f"keyturn-pki/issue/{role}", data=names)
    return x509.load_pem_x509_certificate(answer["data"]["certificate"].encode())


def _authority(admin: hvac.Client) -> x509.Certificate:
    answer = admin.read("keyturn-pki/cert/ca")
    return x509.load_pem_x509_certificate(answer["data"]["certificate"].encode())


def _names(certificate: x509.Certificate) -> x509.SubjectAlternativeName:
    return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value


def _usage(certificate: x509.Certificate) -> set[x509.ObjectIdentifier]:
    return set(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)


def _is_p256(certificate: x509.Certificate) -> bool:
    key = certificate.public_key()
    return isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)


def test_the_authority_is_named_after_the_trust_domain_and_lives_ten_years(
    admin: hvac.Client,
) -> None:
    root = _authority(admin)
    (common_name,) = root.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    lifetime = root.not_valid_after_utc - root.not_valid_before_utc

    assert common_name.value == "Keyturn CA keyturn.test"
    assert _is_p256(root)
    assert lifetime.days in {3649, 3650}  # Vault rounds to the minute
    assert _names(root).get_values_for_type(x509.UniformResourceIdentifier) == [DOMAIN]


@pytest.mark.parametrize("service", SERVICE_NAMES)
def test_a_service_gets_a_certificate_with_exactly_its_own_spiffe_id(
    admin: hvac.Client, service: str
) -> None:
    certificate = _issue(
        admin,
        service,
        common_name=service,
        alt_names=",".join(SERVICE_NAMES[service]),
        ip_sans="127.0.0.1",
        uri_sans=f"{DOMAIN}/{service}",
    )

    certificate.verify_directly_issued_by(_authority(admin))
    names = _names(certificate)
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [f"{DOMAIN}/{service}"]
    assert sorted(names.get_values_for_type(x509.DNSName)) == sorted(SERVICE_NAMES[service])
    assert names.get_values_for_type(x509.IPAddress) == [ipaddress.ip_address("127.0.0.1")]
    assert _usage(certificate) == CLIENT_AND_SERVER
    assert _is_p256(certificate)


def test_an_app_gets_a_client_certificate_with_its_spiffe_id_and_nothing_else(
    admin: hvac.Client,
) -> None:
    certificate = _issue(admin, "app", uri_sans=f"{DOMAIN}/app/billing")

    certificate.verify_directly_issued_by(_authority(admin))
    assert list(_names(certificate)) == [x509.UniformResourceIdentifier(f"{DOMAIN}/app/billing")]
    assert not list(certificate.subject)
    assert _usage(certificate) == CLIENT_ONLY
    assert _is_p256(certificate)


def test_a_certificate_lives_as_long_as_the_options_say_and_no_longer(admin: hvac.Client) -> None:
    certificate = _issue(admin, "app", uri_sans=f"{DOMAIN}/app/billing", ttl="720h")
    lifetime = certificate.not_valid_after_utc - certificate.not_valid_before_utc

    # Vault dates a certificate back by 30 seconds and rounds to the minute.
    assert timedelta(hours=2) <= lifetime <= timedelta(hours=2, minutes=2)


@pytest.mark.parametrize(
    ("role", "names"),
    [
        ("keyvault-svc", {"uri_sans": f"{DOMAIN}/gateway-svc"}),
        ("keyvault-svc", {"uri_sans": f"{DOMAIN}/keyvault-svc/x"}),
        ("gateway-svc", {"uri_sans": f"{DOMAIN}/gateway-svc,{DOMAIN}/app/billing"}),
        ("gateway-svc", {"uri_sans": "spiffe://other.test/gateway-svc"}),
        ("gateway-svc", {"common_name": "keyvault-svc"}),
        ("gateway-svc", {"common_name": "gateway-svc", "alt_names": "api.openai.com"}),
        ("gateway-svc", {"common_name": "gateway-svc", "alt_names": "x.localhost"}),
        ("gateway-svc", {"common_name": "gateway-svc", "alt_names": "*.gateway.keyturn.test"}),
        ("app", {"uri_sans": f"{DOMAIN}/gateway-svc"}),
        ("app", {"uri_sans": "spiffe://other.test/app/billing"}),
        ("app", {"uri_sans": f"{DOMAIN}/app/billing", "common_name": "billing"}),
        ("app", {"uri_sans": f"{DOMAIN}/app/billing", "alt_names": "localhost"}),
        ("app", {"uri_sans": f"{DOMAIN}/app/billing", "ip_sans": "127.0.0.1"}),
    ],
    ids=str,
)
def test_a_role_signs_no_foreign_name(admin: hvac.Client, role: str, names: dict[str, str]) -> None:
    with pytest.raises(InvalidRequest):
        _issue(admin, role, **names)


def _add_user(admin: hvac.Client, mount: str, name: str, policy: str) -> str:
    """Add a user and its entity; return the entity's id."""
    admin.write_data(
        f"auth/{mount}/users/{name}",
        data={"password": "pw", "token_policies": [policy], "token_no_default_policy": True},
    )
    metadata = {"spiffe_id": f"{DOMAIN}/app/{name}"}
    entity = {"name": name, "metadata": metadata}
    entity_id: str = admin.write_data("identity/entity", data=entity)["data"]["id"]
    accessor = admin.read("sys/auth")["data"][f"{mount}/"]["accessor"]
    alias = {"name": name, "canonical_id": entity_id, "mount_accessor": accessor}
    admin.write_data("identity/entity-alias", data=alias)
    return entity_id


@pytest.fixture(scope="module")
def alice(admin: hvac.Client, empty_openbao: OpenBaoServer) -> hvac.Client:
    entity_id = _add_user(admin, "keyturn-people", "alice", "keyturn-owner")
    for group in ("payments", "search"):
        members = {"name": group, "member_entity_ids": [entity_id]}
        admin.write_data("identity/group", data=members)
    return _log_in(empty_openbao, "keyturn-people", "alice")


@pytest.fixture(scope="module")
def billing(admin: hvac.Client, empty_openbao: OpenBaoServer) -> hvac.Client:
    _add_user(admin, "keyturn-apps", "billing", "keyturn-app")
    return _log_in(empty_openbao, "keyturn-apps", "billing")


def _log_in(server: OpenBaoServer, mount: str, name: str) -> hvac.Client:
    client = server.client()
    client.token = None
    client.auth.userpass.login(name, "pw", mount_point=mount)
    return client


def _verified_claims(server: OpenBaoServer, token: str, audience: str) -> dict[str, Any]:
    anyone = server.client()
    anyone.token = None
    keys = jwt.PyJWKSet.from_dict(anyone.adapter.get("/v1/identity/oidc/.well-known/keys"))
    key = keys[jwt.get_unverified_header(token)["kid"]]
    return jwt.decode(
        token,
        key,
        algorithms=["RS256"],
        audience=audience,
        issuer=f"{ISSUER}/v1/identity/oidc",
        options={"require": ["exp", "iat", "iss", "aud", "sub"]},
    )


def test_a_person_gets_an_id_token_with_name_and_groups(
    empty_openbao: OpenBaoServer, alice: hvac.Client
) -> None:
    token = alice.read("identity/oidc/token/keyturn-owner")["data"]["token"]

    claims = _verified_claims(empty_openbao, token, "keyturn-owners")

    assert claims["preferred_username"] == "alice"
    assert sorted(claims["groups"]) == ["payments", "search"]
    assert claims["exp"] - claims["iat"] == 3600
    assert "keyturn_app" not in claims


def test_an_app_gets_a_token_with_its_spiffe_id(
    empty_openbao: OpenBaoServer, billing: hvac.Client
) -> None:
    token = billing.read("identity/oidc/token/keyturn-app")["data"]["token"]

    claims = _verified_claims(empty_openbao, token, "keyturn-apps")

    assert claims["keyturn_app"] == f"{DOMAIN}/app/billing"
    assert claims["exp"] - claims["iat"] == 600
    assert "preferred_username" not in claims


@pytest.mark.parametrize(
    ("login", "path"),
    [
        ("alice", "identity/oidc/token/keyturn-app"),
        ("alice", "keyturn-kv/data/users/alice/keys/openai"),
        ("alice", "sys/mounts"),
        ("alice", "identity/oidc/key/keyturn"),
        ("billing", "identity/oidc/token/keyturn-owner"),
        ("billing", "keyturn-kv/data/users/alice/keys/openai"),
        ("billing", "sys/mounts"),
    ],
)
def test_a_person_or_an_app_may_read_nothing_but_its_token(
    request: pytest.FixtureRequest, login: str, path: str
) -> None:
    client: hvac.Client = request.getfixturevalue(login)

    with pytest.raises(Forbidden):
        client.read(path)
