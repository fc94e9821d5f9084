"""Where the rewrap job keeps its progress, and finds the owners: KV."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Final

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from keyvault_svc.domain.errors import KeyRecordUnreadableError
from keyvault_svc.domain.names import OwnerKind, OwnerName
from keyvault_svc.domain.rewrap_ports import RewrapProgress
from keyvault_svc.vault.kv_documents import KvDocuments
from keyvault_svc.vault.paths import REWRAP_PROGRESS
from svc_runtime.service_error import InvalidFieldError

_FOLDER_END: Final = "/"


class _StoredProgress(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    first_epoch: Annotated[int, Field(ge=0)]
    target: Annotated[int, Field(ge=0)]
    rotate_time: AwareDatetime | None
    done_owner: str


class KvRewrapLog:
    """`RewrapLog` and `OwnerCatalogue` on KV."""

    def __init__(self, documents: KvDocuments) -> None:
        self._documents = documents

    async def load(self) -> RewrapProgress | None:
        """Return the progress of a job that has not ended."""
        stored = await self._documents.read(REWRAP_PROGRESS, {})
        if stored is None:
            return None
        try:
            fields = _StoredProgress.model_validate_json(stored.text)
        except ValidationError:
            pass
        else:
            return RewrapProgress(**fields.model_dump(), revision=stored.revision)
        raise KeyRecordUnreadableError

    async def save(self, progress: RewrapProgress) -> RewrapProgress:
        """Store *progress* by check-and-set."""
        text = _StoredProgress(
            first_epoch=progress.first_epoch,
            target=progress.target,
            rotate_time=progress.rotate_time,
            done_owner=progress.done_owner,
        ).model_dump_json()
        revision = await self._documents.write(REWRAP_PROGRESS, text, progress.revision, {})
        return replace(progress, revision=revision)

    async def clear(self) -> None:
        """Forget the progress."""
        await self._documents.drop(REWRAP_PROGRESS, {})

    async def owners(self) -> list[OwnerName]:
        """Return all owners, sorted by their names' text."""
        found = []
        for kind in OwnerKind:
            for folder in await self._documents.names(kind.value, {}):
                try:
                    owner = f"{kind}/{folder.removesuffix(_FOLDER_END)}"
                    found.append(OwnerName.parse(owner, "owner"))
                except InvalidFieldError:
                    continue  # not ours: no owner has such a name
        return sorted(found, key=str)
