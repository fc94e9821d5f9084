"""Pods of both services, and how apps and gateways find them: by DNS, and by a balancer."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from keyturn_cli.local.service_settings import Variant
from keyturn_cli.local.stack import LocalStack
from keyturn_cli.local.upstream import Upstream
from svc_runtime.secret_bytes import SecretBytes
from tests.e2e.balancer import Balancer
from tests.e2e.breaking import until
from tests.e2e.clients import Clients
from tests.e2e.open_load import Way
from tests.e2e.pods import Deployment, Release
from tests.name_server import NameServer
from tests.valkey_server import ValkeyServer

_CONNECTION_SECONDS: Final = 1.5  # instead of twenty, so that pods end sooner
_KEY_SERVICES: Final = "keyvault-svc-gateways.test"
_GATEWAYS: Final = "gateway-svc-grpc.test"


@dataclass
class Cluster:
    """The pods of each service, and how apps find them."""

    clients: Clients
    keyvault: Deployment
    gateway: Deployment
    way: Way

    async def outcomes(self, calls: int) -> Counter[str]:
        """Return how *calls* leases were settled, once they are."""

        async def settled() -> Counter[str]:
            return Counter(line["outcome"] for line in self.keyvault.lines("lease_settled"))

        return await until(settled, lambda outcomes: outcomes.total() >= calls)


@contextmanager
def stack_without_services(folder: Path, api_key: SecretBytes) -> Iterator[Clients]:
    """Run what pods need in *folder*: Vault, Valkey, a stand-in that takes *api_key*."""
    valkey_folder = folder / "valkey"
    valkey_folder.mkdir()
    with ValkeyServer(valkey_folder) as valkey:
        stack = LocalStack(folder / "home", Upstream(None, api_key, "standin"))
        stack.variant = Variant(redis_address=valkey.address)
        with stack:
            for service in ("gateway-svc", "keyvault-svc"):
                stack.services[service].stop()  # it has done its part: the key is there
            yield Clients(stack)


@asynccontextmanager
async def pod_cluster(
    clients: Clients,
    *,
    replicas: int,
    drain_seconds: float,
    keyvault_release: Release | None = None,
    gateway_release: Release | None = None,
) -> AsyncIterator[Cluster]:
    """Start so many *replicas* of each service, by default of the release that is tested."""
    settings = {"connection_seconds": _CONNECTION_SECONDS, "drain_seconds": drain_seconds}
    keyvault = Deployment(clients, "keyvault", settings, release=keyvault_release or Release())
    gateway = Deployment(clients, "gateway", settings, release=gateway_release or Release())
    places = {_KEY_SERVICES: keyvault.endpoints, _GATEWAYS: gateway.endpoints}
    async with AsyncExitStack() as stack:
        names = await stack.enter_async_context(NameServer(lambda name: places.get(name, ())))
        at = f"dns://127.0.0.1:{names.port}"
        gateway.target = f"{at}/{_KEY_SERVICES}:{keyvault.ports['gateway']}"
        for deployment in (keyvault, gateway):
            stack.callback(deployment.stop)
            await deployment.scale(replicas)
        balancer = Balancer(gateway.endpoints, gateway.ports["http"])
        await stack.enter_async_context(balancer)
        way = Way(f"{at}/{_GATEWAYS}:{gateway.ports['grpc']}", balancer.port)
        yield Cluster(clients, keyvault, gateway, way)
