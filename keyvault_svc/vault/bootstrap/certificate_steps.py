"""The certificate authority of the deployment and what it may sign."""

from __future__ import annotations

from typing import Final

from keyvault_svc.vault.bootstrap.convergence import RIGHT, fields_step, mount_step
from keyvault_svc.vault.bootstrap.login_options import SERVICES
from keyvault_svc.vault.bootstrap.options import BootstrapOptions
from keyvault_svc.vault.bootstrap.step import Finding, Step, StepOutcome
from keyvault_svc.vault.bootstrap.vault_admin import VaultAdmin

PKI_MOUNT: Final = "keyturn-pki"
_CA_TTL_SECONDS: Final = 10 * 365 * 24 * 60 * 60
_EC_P256: Final = {"key_type": "ec", "key_bits": 256}


def certificate_steps(options: BootstrapOptions) -> list[Step]:
    """Return the steps that keep the CA and its roles."""
    return [
        mount_step("sys/mounts", PKI_MOUNT, "pki", max_lease_seconds=_CA_TTL_SECONDS),
        Step("certificate authority", lambda vault: _converge_root(vault, options.trust_domain)),
        *(_service_role_step(service, options) for service in SERVICES),
        _app_role_step(options),
    ]


def _converge_root(vault: VaultAdmin, trust_domain: str) -> Finding:
    # Any issuer will do: a deployment may have imported an intermediate of its own.
    if vault.list_keys(f"{PKI_MOUNT}/issuers"):
        return RIGHT
    vault.write(
        f"{PKI_MOUNT}/root/generate/internal",
        {
            "common_name": f"Keyturn CA {trust_domain}",
            "exclude_cn_from_sans": True,
            # SPIFFE X509-SVID, section 4.2: a signing certificate's id is the trust domain.
            "uri_sans": f"spiffe://{trust_domain}",
            "ttl": _CA_TTL_SECONDS,
            **_EC_P256,
        },
    )
    return Finding(StepOutcome.CREATED)


def _service_role_step(service: str, options: BootstrapOptions) -> Step:
    return _role_step(
        service,
        options,
        {
            "allowed_uri_sans": [f"spiffe://{options.trust_domain}/{service}"],
            "allowed_domains": list(
                dict.fromkeys([service, "localhost", *options.dns_names.get(service, ())])
            ),
            "allow_bare_domains": True,
            "allow_ip_sans": True,
            "server_flag": True,
        },
    )


def _app_role_step(options: BootstrapOptions) -> Step:
    # The pattern cannot hold a certificate to one URI; who verifies it refuses any other number.
    return _role_step(
        "app",
        options,
        {
            "allowed_uri_sans": [f"spiffe://{options.trust_domain}/app/*"],
            "allowed_domains": [],
            "allow_bare_domains": False,
            "allow_ip_sans": False,
            "server_flag": False,
        },
    )


def _role_step(role: str, options: BootstrapOptions, names: dict[str, object]) -> Step:
    return fields_step(
        f"certificate role {role}",
        f"{PKI_MOUNT}/roles/{role}",
        {
            **names,
            **_EC_P256,
            "client_flag": True,
            "key_usage": ["DigitalSignature"],  # SPIFFE X509-SVID, section 4.3; all TLS 1.3 needs
            "require_cn": False,
            "allow_any_name": False,
            "allow_localhost": False,  # services list it; the flag would add localdomain too
            "allow_subdomains": False,
            "allow_glob_domains": False,
            "allow_wildcard_certificates": False,
            "ttl": options.certificate_ttl_seconds,
            "max_ttl": options.certificate_ttl_seconds,
        },
    )
