"""The settings files of the services of a local stack."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from keyturn_cli.local.layout import (
    AUDITOR,
    DEMO_APP,
    GROUPS,
    OPERATOR,
    TRUST_DOMAIN,
    Layout,
)

_POLICIES = Path(__file__).parents[2] / "deploy" / "vault" / "policies"
TOKEN_TTL_SECONDS = 8 * 3600  # a working day; `keyturn local up` renews client.env before
# Vault lets nobody say `auth_time`; `keyvault-svc bootstrap` writes this one in its place.
AUTH_TIME_CLAIM = "keyturn_auth_time"
_STEP_UP = {"max_age_seconds": 600, "amr": ["otp"]}

# Who stops the stack at a terminal waits no longer for clients that stay connected.
_DRAIN_SECONDS = 1
_STORE_TIMEOUT_SECONDS = 5  # one machine does everything, and may be busy

Table = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class VaultPlace:
    """Where Vault is.

    Attributes:
        address: URL of its API.
        ca_file: What a client must trust to call it.
        standby_addresses: URLs of further nodes.
    """

    address: str
    ca_file: Path
    standby_addresses: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Variant:
    """What one stack's services do differently.

    Attributes:
        asks_second_factor: Whether sensitive actions need one.
        redis_address: `host:port` of a Redis or Valkey on this machine that counts limits; empty
            for a file, which serves one replica.
        more: Tables of the key services that follow the others, TOML.
        telemetry: Settings of both services' table `telemetry`, beside the local stack's own.
        audit_folder: Where each process writes its audit stream, a file each, named by its port of
            health; None for standard output.
    """

    asks_second_factor: bool = False
    redis_address: str = ""
    more: str = ""
    telemetry: Table = field(default_factory=dict)
    audit_folder: Path | None = None


def key_service_settings(
    layout: Layout, vault: VaultPlace, ports: Mapping[str, int], variant: Variant
) -> str:
    """Return the key service's settings, TOML."""
    asks_second_factor = variant.asks_second_factor
    settings = _toml(
        {
            "owner_address": f"127.0.0.1:{ports['owner']}",
            "gateway_address": f"127.0.0.1:{ports['gateway']}",
            "health_address": f"127.0.0.1:{ports['health']}",
            "gateways": [f"spiffe://{TRUST_DOMAIN}/gateway-svc"],
            "drain_seconds": _DRAIN_SECONDS,
            "tls": _tls(layout, "keyvault-svc"),
            "vault": _vault(vault),
            "vault.approle": _approle(layout, "keyvault-svc"),
            "maintenance.approle": _approle(layout, "keyvault-maintenance"),
            "people": {
                **_issuer(vault, "keyturn-owners"),
                # The name of Vault's entity, which only an administrator can change.
                "name_claim": "preferred_username",
                **({"auth_time_claim": AUTH_TIME_CLAIM} if asks_second_factor else {}),
                "auditor_groups": [GROUPS[AUDITOR]],
                "operator_groups": [GROUPS[OPERATOR]],
            },
            **({"people.step_up": _STEP_UP} if asks_second_factor else {}),
            **_limits(layout, variant),
            "telemetry": _telemetry(ports, variant),
            **_audit_stream(ports, variant),
            "[app_issuers]": _app_issuer(vault),
            "bootstrap": {
                "policy_dir": str(_POLICIES),
                "trust_domain": TRUST_DOMAIN,
                "issuer": vault.address,
                "owner_token_ttl_seconds": TOKEN_TTL_SECONDS,
                "app_token_ttl_seconds": TOKEN_TTL_SECONDS,
            },
        }
    )
    return settings + variant.more


def gateway_settings(
    layout: Layout,
    vault: VaultPlace,
    ports: Mapping[str, int],
    *,
    key_service_target: str,
    upstream: str,
    default_key: str,
    variant: Variant,
) -> str:
    """Return a gateway's settings, TOML."""
    return _toml(
        {
            "grpc_address": f"127.0.0.1:{ports['grpc']}",
            "http_address": f"127.0.0.1:{ports['http']}",
            "health_address": f"127.0.0.1:{ports['health']}",
            "app_id_prefix": f"spiffe://{TRUST_DOMAIN}/app/",
            "drain_seconds": _DRAIN_SECONDS,
            "tls": _tls(layout, "gateway-svc"),
            "vault": _vault(vault),
            "vault.approle": _approle(layout, "gateway-svc"),
            "key_service": {"target": key_service_target},
            "openai": {"base_url": upstream, "allow_http_on_loopback": True},
            # Somebody waits for it at a terminal.
            "verification": {"poll_seconds": 0.2},
            "default_keys": {DEMO_APP: default_key},
            "telemetry": _telemetry(ports, variant),
            **_audit_stream(ports, variant),
            "[app_issuers]": _app_issuer(vault),
        }
    )


def _limits(layout: Layout, variant: Variant) -> Mapping[str, Table]:
    if variant.redis_address:
        server = {"addresses": [variant.redis_address], "tls": False}
        return {"limits.redis": {**server, "timeout_seconds": _STORE_TIMEOUT_SECONDS}}
    return {"limits": {"file": str(layout.limits_file)}}


def _telemetry(ports: Mapping[str, int], variant: Variant) -> Table:
    return {"metrics_address": f"127.0.0.1:{ports['metrics']}", **variant.telemetry}


def _audit_stream(ports: Mapping[str, int], variant: Variant) -> Mapping[str, Table]:
    if variant.audit_folder is None:
        return {}
    return {"audit_stream": {"file": str(variant.audit_folder / f"{ports['health']}.jsonl")}}


def _tls(layout: Layout, service: str) -> Table:
    certificate, key = layout.certificate(service)
    return {"certificate": str(certificate), "key": str(key), "ca": str(layout.ca_file)}


def _vault(vault: VaultPlace) -> Table:
    return {
        "address": vault.address,
        "ca_file": str(vault.ca_file),
        "standby_addresses": list(vault.standby_addresses),
    }


def _approle(layout: Layout, service: str) -> Table:
    return {
        "role_id_file": str(layout.home / f"{service}.role-id"),
        "secret_id_file": str(layout.home / f"{service}.secret-id"),
    }


def _issuer(vault: VaultPlace, audience: str) -> Table:
    issuer = f"{vault.address}/v1/identity/oidc"
    return {
        "issuer": issuer,
        "audience": audience,
        "jwks_url": f"{issuer}/.well-known/keys",
        "ca_file": str(vault.ca_file),
    }


def _app_issuer(vault: VaultPlace) -> Table:
    return {
        **_issuer(vault, "keyturn-apps"),
        "app_claim": "keyturn_app",
        "app_id_prefixes": [f"spiffe://{TRUST_DOMAIN}/app/"],
    }


def _toml(settings: Mapping[str, object]) -> str:
    """Return *settings* as TOML: plain values first, then tables; `[name]` is an array of one."""
    lines = [f"{k} = {_value(v)}" for k, v in settings.items() if not isinstance(v, Mapping)]
    for name, table in settings.items():
        if isinstance(table, Mapping):
            lines += ["", f"[{name}]"]
            lines += [f"{json.dumps(str(k))} = {_value(v)}" for k, v in table.items()]
    return "\n".join(lines) + "\n"


def _value(value: object) -> str:
    # JSON's strings, whole numbers, booleans and lists of those are TOML's, too.
    return json.dumps(value, ensure_ascii=True)
