"""What pods mount: Secrets, ConfigMaps, and tokens of service accounts, as kubelet keeps them."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.kube.pod import USER

Object = Mapping[str, Any]

_UID: Final = "9f5d0c9e-5a0e-4a6c-8f8d-1f1c3f0f5a11"
_MODE: Final = 0o440


@dataclass
class Volumes:
    """The content of the cluster's volumes, one folder each below *folder*."""

    folder: Path
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    _versions: Iterator[int] = field(default_factory=itertools.count)

    @property
    def public_key(self) -> bytes:
        """What checks the tokens, PEM."""
        return self.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def token(self, namespace: str, account: str, audience: str, seconds: int = 600) -> str:
        """Return a token of a service account."""
        now = int(time.time())
        claims = {
            "iss": "https://kubernetes.default.svc.cluster.local",
            "sub": f"system:serviceaccount:{namespace}:{account}",
            "aud": [audience],
            "iat": now,
            "nbf": now,
            "exp": now + seconds,
            "kubernetes.io": {
                "namespace": namespace,
                "serviceaccount": {"name": account, "uid": _UID},
            },
        }
        return jwt.encode(claims, self.key, algorithm="ES256")

    def write(self, name: str, files: Mapping[str, bytes]) -> Path:
        """Make or replace all files of the volume *name* at once; return its folder."""
        volume = self.folder / name
        volume.mkdir(parents=True, exist_ok=True)
        version = volume / f"..{next(self._versions)}"
        version.mkdir()
        for file, content in files.items():
            (version / file).write_bytes(content)
            (version / file).chmod(_MODE)
            os.chown(version / file, 0, USER)
            if not (volume / file).is_symlink():
                (volume / file).symlink_to(f"..data/{file}")
        new = volume / "..data_tmp"
        new.symlink_to(version.name)
        new.rename(volume / "..data")
        return volume

    def write_configmaps(self, objects: Sequence[Object]) -> None:
        """Write each ConfigMap of a release."""
        for item in objects:
            if item["kind"] == "ConfigMap":
                data = {key: text.encode() for key, text in item["data"].items()}
                self.write(f"configmap-{item['metadata']['name']}", data)

    def write_secret(self, name: str, files: Mapping[str, bytes]) -> None:
        """Make or replace a Secret."""
        self.write(f"secret-{name}", files)

    def mounts(self, spec: Object, namespace: str, pod: str) -> dict[str, Path]:
        """Return the folders that the container of *spec* mounts, by where.

        Raises:
            ValueError: A volume is of a kind that is not known here.
        """
        volumes = {volume["name"]: volume for volume in spec.get("volumes", ())}
        [container] = spec["containers"]
        return {
            mount["mountPath"]: self._source(volumes[mount["name"]], spec, namespace, pod)
            for mount in container.get("volumeMounts", ())
        }

    def _source(self, volume: Object, spec: Object, namespace: str, pod: str) -> Path:
        if "configMap" in volume:
            return self._existing(f"configmap-{volume['configMap']['name']}", volume["configMap"])
        if "secret" in volume:
            return self._existing(f"secret-{volume['secret']['secretName']}", volume["secret"])
        if "projected" in volume:
            [source] = volume["projected"]["sources"]
            wanted = source["serviceAccountToken"]
            token = self.token(
                namespace,
                spec["serviceAccountName"],
                wanted["audience"],
                wanted["expirationSeconds"],
            )
            return self.write(f"token-{pod}", {wanted["path"]: token.encode()})
        raise ValueError(f"no such volume: {volume}")

    def _existing(self, name: str, source: Object) -> Path:
        volume = self.folder / name
        for item in source.get("items", ()):
            if item["key"] != item["path"] or not (volume / item["key"]).exists():
                raise ValueError(f"{name} has no {item['key']}, or it is to have another name")
        return volume
