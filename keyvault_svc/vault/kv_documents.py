"""Documents on Vault's KV v2 engine: one string each, written by check-and-set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, cast

from hvac.api.secrets_engines import KvV2

from keyvault_svc.domain.errors import KeyChangedMeanwhileError, KeyRecordUnreadableError
from keyvault_svc.vault.paths import KV_MOUNT
from svc_runtime.vault.errors import (
    VaultConflictError,
    VaultNotFoundError,
    VaultUnavailableError,
)
from svc_runtime.vault.session import VaultSession

# OpenBao refuses a request with more than 1,000 strings, of which a record with its grants can have
# more. So a document is one string.
_FIELD: Final = "record"


@dataclass(frozen=True, slots=True)
class Document:
    """What is stored at a path now.

    Attributes:
        text: The document.
        revision: Its version in KV.
    """

    text: str
    revision: int


class KvDocuments:
    """Documents below `KV_MOUNT`. Caches nothing: every read is a request to Vault.

    Every method raises `VaultUnavailableError` when Vault cannot answer.
    """

    def __init__(self, session: VaultSession) -> None:
        self._session = session

    async def read(self, path: str, headers: Mapping[str, str]) -> Document | None:
        """Return what is stored at *path*, by exactly one read; None if nothing is.

        Raises:
            KeyRecordUnreadableError: What is stored is not a document.
        """
        try:
            answer = await self._session.call(
                lambda adapter: KvV2(adapter).read_secret_version(
                    path, mount_point=KV_MOUNT, raise_on_deleted_version=True
                ),
                headers,
            )
        except VaultNotFoundError:
            return None
        match answer:
            case {
                "data": {
                    "data": {"record": str(text), **others},
                    "metadata": {"version": int(revision)},
                }
            } if not others:
                return Document(text, revision)
            case _:
                raise KeyRecordUnreadableError

    async def write(self, path: str, text: str, revision: int, headers: Mapping[str, str]) -> int:
        """Store *text* if the stored revision is still *revision*; 0 if nothing shall be there.

        A write whose answer is lost may have been done, and one that meets a newer version may
        have met itself. So in both cases what is stored is compared with what was to be.

        Returns:
            The new revision.

        Raises:
            KeyChangedMeanwhileError: The revision is another; nothing was written.
        """
        failure: type[VaultUnavailableError | KeyChangedMeanwhileError]
        try:
            await self._session.call(
                lambda adapter: KvV2(adapter).create_or_update_secret(
                    path, {_FIELD: text}, cas=revision, mount_point=KV_MOUNT
                ),
                headers,
            )
        except VaultConflictError:
            failure = KeyChangedMeanwhileError
        except VaultUnavailableError:
            failure = VaultUnavailableError
        else:
            return revision + 1
        stored = await self.read(path, headers)
        if stored == Document(text, revision + 1):
            return revision + 1
        raise failure

    async def destroy_before(self, path: str, revision: int, headers: Mapping[str, str]) -> None:
        """Destroy every version before *revision*. Idempotent."""
        versions = await self._versions(path, headers) or {}
        await self._destroy(path, [v for v in versions if v < revision], versions, headers)

    async def delete(self, path: str, headers: Mapping[str, str]) -> int:
        """Destroy every version and the metadata, and see that each is gone. Idempotent.

        The newest version goes last, with the metadata: while any of it is there, a read tells
        that the document is being deleted, and whoever finds that can go on.

        Returns:
            How many versions Vault reported as destroyed.

        Raises:
            KeyChangedMeanwhileError: Something was written meanwhile; nothing else was destroyed.
        """
        versions = await self._versions(path, headers)
        if versions is None:
            return 0
        newest = max(versions, default=0)
        await self._destroy(path, [v for v in versions if v != newest], versions, headers)
        after = await self._versions(path, headers)
        if after is not None:
            if not all(after[v] for v in after if v != newest):
                raise KeyChangedMeanwhileError
            await self.drop(path, headers)
            if await self._versions(path, headers) is not None:
                raise KeyChangedMeanwhileError
        return len(versions)

    async def drop(self, path: str, headers: Mapping[str, str]) -> None:
        """Delete all versions and the metadata, by one request. Idempotent."""
        await self._session.call(
            lambda adapter: KvV2(adapter).delete_metadata_and_all_versions(
                path, mount_point=KV_MOUNT
            ),
            headers,
        )

    async def names(self, folder: str, headers: Mapping[str, str]) -> list[str]:
        """Return the names right below *folder*, sorted; those of folders end with a slash."""
        try:
            answer = await self._session.call(
                lambda adapter: KvV2(adapter).list_secrets(folder, mount_point=KV_MOUNT), headers
            )
        except VaultNotFoundError:
            return []
        data = cast("dict[str, object]", answer["data"])
        return sorted(cast("list[str]", data["keys"]))

    async def _versions(self, path: str, headers: Mapping[str, str]) -> dict[int, bool] | None:
        """Return which versions there are, and whether each is destroyed; None for no metadata."""
        try:
            answer = await self._session.call(
                lambda adapter: KvV2(adapter).read_secret_metadata(path, mount_point=KV_MOUNT),
                headers,
            )
        except VaultNotFoundError:
            return None
        data = cast("dict[str, object]", answer["data"])
        versions = cast("dict[str, dict[str, object]]", data["versions"])
        return {int(version): bool(about["destroyed"]) for version, about in versions.items()}

    async def _destroy(
        self,
        path: str,
        wanted: list[int],
        versions: Mapping[int, bool],
        headers: Mapping[str, str],
    ) -> None:
        left = sorted(version for version in wanted if not versions[version])
        if left:
            await self._session.call(
                lambda adapter: KvV2(adapter).destroy_secret_versions(
                    path, left, mount_point=KV_MOUNT
                ),
                headers,
            )
