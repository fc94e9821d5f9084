"""Vault's KV v2 engine in a dict, behind a session: what `KvDocuments` asks for, and no more."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

from keyvault_svc.vault.paths import KV_MOUNT
from svc_runtime.vault.errors import VaultConflictError, VaultNotFoundError
from svc_runtime.vault.session import VaultSession
from tests.fakes.fake_vault_line import FakeVaultLine

Answer = dict[str, Any]
Destroyed = None


class FakeKvEngine:
    """A session with a Vault that has one KV v2 engine.

    Attributes:
        line: The line to it; a request is its method and path, such as `post data/a/b`.
        versions: The data of every version at each path, None where it is destroyed.
        headers: The headers of every request.
    """

    def __init__(self) -> None:
        self.line = FakeVaultLine()
        self.versions: dict[str, dict[int, Answer | None]] = {}
        self.headers: list[Mapping[str, str]] = []

    @property
    def session(self) -> VaultSession:
        """Return it as what the doors take."""
        return cast("VaultSession", self)

    async def call(
        self, operation: Callable[[object], Awaitable[Answer]], headers: Mapping[str, str]
    ) -> Answer:
        """Run *operation* with an adapter, which is this object too."""
        self.headers.append(headers)
        answer = operation(self)
        assert inspect.isawaitable(answer)
        return await answer

    async def get(self, url: str, params: Answer | None = None) -> Answer:
        """Read the newest version, or the metadata."""
        del params
        kind, path = _parts(url)
        async with self.line.request(f"get {kind}/{path}"):
            versions = self._there(path)
            if kind == "metadata":
                about = {str(v): {"destroyed": data is None} for v, data in versions.items()}
                return {"data": {"versions": about}}
            newest = max(versions)
            data = versions[newest]
            if data is None:
                raise VaultNotFoundError
            return {"data": {"data": data, "metadata": {"version": newest}}}

    async def post(self, url: str, json: Answer) -> Answer:
        """Write by check-and-set, or destroy versions."""
        kind, path = _parts(url)
        async with self.line.request(f"post {kind}/{path}"):
            if kind == "destroy":
                for version in json["versions"]:
                    self._there(path)[version] = Destroyed
                return {}
            newest = max(self.versions.get(path, {}), default=0)
            if json["options"]["cas"] != newest:
                raise VaultConflictError
            self.versions.setdefault(path, {})[newest + 1] = json["data"]
            return {}

    async def delete(self, url: str) -> Answer:
        """Delete all versions and the metadata."""
        kind, path = _parts(url)
        async with self.line.request(f"delete {kind}/{path}"):
            self.versions.pop(path, None)
            return {}

    async def list(self, url: str) -> Answer:
        """List what lies right below a folder."""
        _, folder = _parts(url)
        async with self.line.request(f"list {folder}"):
            below = [p.removeprefix(f"{folder}/") for p in self.versions if p.startswith(folder)]
            names = {name if "/" not in name else name.split("/")[0] + "/" for name in below}
            if not names:
                raise VaultNotFoundError
            return {"data": {"keys": list(names)}}

    def _there(self, path: str) -> dict[int, Answer | None]:
        if path not in self.versions:
            raise VaultNotFoundError
        return self.versions[path]


def _parts(url: str) -> tuple[str, str]:
    kind, _, path = url.removeprefix(f"/v1/{KV_MOUNT}/").partition("/")
    return kind, path
