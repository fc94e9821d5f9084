"""What `keyturn audit verify` is told about the deployment whose logs it judges."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import Final

from keyturn_cli.audit.signing_keys import SigningKey

SECOND_US: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Window:
    """A time in which administrators may change things.

    Attributes:
        start_us, end_us: Microseconds since 1970, UTC; both belong to it.
    """

    start_us: int
    end_us: int


@dataclass(frozen=True, slots=True)
class VerifyOptions:
    """The names of the deployment, and what it allows.

    Attributes:
        key_service_role, gateway_role, maintenance_role: Names of both login role and policy.
        bootstrap_policy: Policy of the administrator's token for bootstrap.
        kv_mount, transit_mount, pki_mount: Without slashes at the ends.
        transit_key: What seals and opens keys.
        login_mounts: Auth methods by which services log in.
        namespace: Of Vault, where Keyturn's mounts are; empty for the root namespace.
        lease_us: The longest life of a lease.
        skew_us: By how much clocks may differ, and answers may be late.
        windows: When administrative changes are expected.
        service_networks: From where the services log in; empty for anywhere.
        max_gap_us: The longest silence of Vault's log; 0 for any.
        call_us: The longest call of an app: so long its record may be in coming.
        signing_keys: What checks the signatures of the services' audit streams.
    """

    key_service_role: str = "keyvault-svc"
    gateway_role: str = "gateway-svc"
    maintenance_role: str = "keyvault-maintenance"
    bootstrap_policy: str = "keyturn-bootstrap"
    kv_mount: str = "keyturn-kv"
    transit_mount: str = "keyturn-transit"
    pki_mount: str = "keyturn-pki"
    transit_key: str = "openai"
    login_mounts: tuple[str, ...] = (
        "keyturn-approle",
        "keyturn-kubernetes",
        "keyturn-cert",
        "keyturn-jwt",
    )
    namespace: str = ""
    lease_us: int = 30 * SECOND_US
    skew_us: int = 2 * SECOND_US
    windows: tuple[Window, ...] = ()
    service_networks: tuple[IPv4Network | IPv6Network, ...] = ()
    max_gap_us: int = 0
    call_us: int = 3600 * SECOND_US
    signing_keys: tuple[SigningKey, ...] = ()

    def is_expected(self, time_us: int) -> bool:
        """Return whether administrators may change things at *time_us*."""
        return any(window.start_us <= time_us <= window.end_us for window in self.windows)
