"""What people and the platform do around an installation: docs/kubernetes.md, step by step."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import hvac
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from keyturn_cli.local.admin_windows import administration
from keyturn_cli.local.layout import DEMO_APP, OTHER_APP, Layout
from keyturn_cli.local.local_vault import LocalVault
from keyturn_cli.standin.standin_keys import make_key
from svc_runtime.clock import SystemClock
from tests.chart.chart_engines import NAMESPACE, ROOT
from tests.kube.cluster import APP, OWNER, Cluster
from tests.kube.pod import Pod, python

KEY: Final = "users/alice/keys/demo"
_MOUNT: Final = "keyturn-kubernetes"
_POLICY: Final = ROOT / "deploy/vault/policies/keyturn-bootstrap.hcl"
_ISSUER_POLICY: Final = """
path "keyturn-pki/sign/keyvault-svc" { capabilities = ["update"] }
path "keyturn-pki/sign/gateway-svc" { capabilities = ["update"] }
"""
_OWNERS_PORT: Final = f"keyturn-keyvault-svc.{NAMESPACE}.svc:443"
_GATEWAY_GRPC: Final = f"keyturn-gateway-svc-grpc.{NAMESPACE}.svc.cluster.local:8443"


class CommandFailedError(Exception):
    """The command `keyturn` failed: its exit code, and what it said."""


class Installation:
    """Keyturn in *cluster*, from the first role in Vault to a key that serves.

    Attributes:
        cluster: Where.
        bootstrap: The pod of the Job that set Vault up.
        layout: Where files are that Vault's administrator keeps.
    """

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        """Describe the installation; nothing is done yet."""
        folder.mkdir()
        self.cluster = cluster
        self.bootstrap: Pod
        self.layout = Layout(folder)
        self._clock = SystemClock()

    def install(self) -> None:
        """Start the cluster and do all steps; in the end an app may use a key."""
        cluster = self.cluster
        with administration(self.layout.windows_file, self._clock):
            cluster.start()
        ca = {"ca.crt": cluster.authority.pem}
        for secret in ("vault-ca", "valkey-ca"):
            cluster.volumes.write_secret(secret, ca)
        cluster.volumes.write("configmap-openai-ca", ca)
        cluster.volumes.write_configmaps(cluster.release.objects)
        with administration(self.layout.windows_file, self._clock):
            self._make_roles()
            self.bootstrap = cluster.job("bootstrap")
            cluster.vault.client().delete(f"auth/{_MOUNT}/role/keyturn-bootstrap")
            self.sign_certificates()
            self._make_callers()
        cluster.deploy()
        self._give_key()

    def sign_certificates(self) -> None:
        """Do as cert-manager does with each Certificate of the release, and its Issuer."""
        for item in self.cluster.release.of_kind("Certificate"):
            issuer = self.cluster.release.named("Issuer", item["spec"]["issuerRef"]["name"])
            secret = self._sign(item["spec"], issuer["spec"]["vault"])
            self.cluster.volumes.write_secret(item["spec"]["secretName"], secret)

    @contextmanager
    def administrator(self) -> Iterator[hvac.Client]:
        """Act as Vault's administrator, in a window of which auditors are told."""
        with administration(self.layout.windows_file, self._clock):
            yield self.cluster.vault.client()

    def add_key(self, key: str) -> None:
        """Give a key of the stand-in's into custody, which verifies it."""
        self.as_owner("keys", "add", key, "--stdin", stdin=make_key().expose())

    def grant(self, key: str, *limits: str) -> str:
        """Let the demo app use *key* of the owner; return the grant's name."""
        terms = ("--app", DEMO_APP, "--model", "*", "--endpoint", "*", "--yes", "--json", *limits)
        return str(json.loads(self.as_owner("grants", "add", key, *terms))["name"])

    def as_owner(self, *command: str, stdin: bytes = b"") -> str:
        """Run the command `keyturn` in the owner's pod; return what it prints."""
        environment = {
            "KEYTURN_KEYS_GRPC": _OWNERS_PORT,
            "KEYTURN_CA": "/etc/owner/ca.crt",
            "KEYTURN_CLIENT_ENV": "/etc/owner/client.env",
        }
        return self._keyturn(OWNER.name, environment, command, stdin)

    def as_app(self, *command: str, app: str = "demo", key: str = KEY) -> str:
        """Run the command `keyturn` in the app's pod; return what it prints."""
        environment = {
            "KEYTURN_GRPC": _GATEWAY_GRPC,
            "KEYTURN_CA": f"/etc/app-{app}/ca.crt",
            "KEYTURN_CERT": f"/etc/app-{app}/tls.crt",
            "KEYTURN_CERT_KEY": f"/etc/app-{app}/tls.key",
            "KEYTURN_KEY": key,
        }
        return self._keyturn(APP.name, environment, command, b"")

    def _keyturn(
        self, pod: str, environment: Mapping[str, str], command: tuple[str, ...], stdin: bytes
    ) -> str:
        done = self.cluster.pods[pod].execute(
            *python("keyturn_cli", *command), stdin=stdin, environment=environment
        )
        if done.returncode:
            raise CommandFailedError(done.returncode, done.stderr.decode())
        return done.stdout.decode()

    def _make_roles(self) -> None:
        vault = self.cluster.vault.client()
        vault.write_data(f"sys/auth/{_MOUNT}", data={"type": "kubernetes"})
        config = {"kubernetes_host": "https://kubernetes.default.svc"}
        vault.write_data(f"auth/{_MOUNT}/config", data=config)
        policies = {
            "keyturn-bootstrap": (_POLICY.read_text(encoding="utf-8"), "10m"),
            "keyturn-issuer": (_ISSUER_POLICY, "5m"),
        }
        for name, (policy, life) in policies.items():
            vault.write_data(f"sys/policies/acl/{name}", data={"policy": policy})
            role = {
                "bound_service_account_names": name,
                "bound_service_account_namespaces": NAMESPACE,
                "audience": "vault",
                "token_policies": name,
                "token_no_default_policy": True,
                "token_ttl": life,
                "token_max_ttl": life,
            }
            vault.write_data(f"auth/{_MOUNT}/role/{name}", data=role)

    def _sign(self, certificate: Mapping[str, Any], issuer: Mapping[str, Any]) -> dict[str, bytes]:
        login = issuer["auth"]["kubernetes"]
        account = login["serviceAccountRef"]
        token = self.cluster.volumes.token(NAMESPACE, account["name"], account["audiences"][0])
        vault = self.cluster.vault.client(token="")
        path = login["mountPath"].removeprefix("/v1/")
        answer: Any = vault.write_data(f"{path}/login", data={"role": login["role"], "jwt": token})
        vault.token = answer["auth"]["client_token"]
        key = ec.generate_private_key(ec.SECP256R1())
        names: list[x509.GeneralName] = [
            *map(x509.DNSName, certificate["dnsNames"]),
            *map(x509.UniformResourceIdentifier, certificate["uris"]),
        ]
        request = (
            x509.CertificateSigningRequestBuilder()
            .subject_name(x509.Name([]))
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .sign(key, hashes.SHA256())
        )
        signed: Any = vault.write_data(
            issuer["path"],
            data={
                "csr": request.public_bytes(Encoding.PEM).decode(),
                "exclude_cn_from_sans": "true",
                "alt_names": ",".join(certificate["dnsNames"]),
                "uri_sans": ",".join(certificate["uris"]),
                "ttl": certificate["duration"],
            },
        )
        data = signed["data"]
        return {
            "tls.crt": "\n".join([data["certificate"], *data.get("ca_chain", ())]).encode(),
            "tls.key": key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            "ca.crt": data["issuing_ca"].encode(),
        }

    def _make_callers(self) -> None:
        admin = self.cluster.vault.client()
        vault = LocalVault(admin, self.layout, self._clock)
        vault.write_signing_keys()
        vault.ensure_owner()
        for app in (DEMO_APP, OTHER_APP):
            issued: Any = admin.write_data("keyturn-pki/issue/app", data={"uri_sans": app})
            data = issued["data"]
            files = {
                "tls.crt": data["certificate"],
                "tls.key": data["private_key"],
                "ca.crt": data["issuing_ca"],
                "token": vault.app_token().expose().decode("ascii"),
            }
            name = f"app-{app.rpartition('/')[2]}"
            self.cluster.volumes.write(name, {file: text.encode() for file, text in files.items()})
        ca = admin.read("keyturn-pki/cert/ca")
        assert isinstance(ca, dict)
        owner = f"export KEYTURN_OWNER_TOKEN={vault.owner_token().expose().decode('ascii')}\n"
        files = {"client.env": owner.encode(), "ca.crt": ca["data"]["certificate"].encode()}
        self.cluster.volumes.write("owner", files)

    def _give_key(self) -> None:
        self.add_key("demo")
        # A limit, so that each call needs the limit store.
        self.grant("demo", "--requests-per-minute", "1000000")
