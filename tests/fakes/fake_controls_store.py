"""The operators' controls in memory, at the end of a line."""

from __future__ import annotations

from dataclasses import replace

from keyvault_svc.domain.controls import Controls
from keyvault_svc.domain.errors import KeyChangedMeanwhileError
from keyvault_svc.domain.ports import AuditTags
from tests.fakes.fake_vault_line import FakeVaultLine


class FakeControlsStore:
    """`ControlsStore` in memory.

    Attributes:
        stored: What is stored.
        line: The line to it; requests are `read controls` and `write controls`.
        reads: The tags of every read.
    """

    def __init__(self, stored: Controls | None = None, line: FakeVaultLine | None = None) -> None:
        self.stored = stored or Controls()
        self.line = line or FakeVaultLine()
        self.reads: list[AuditTags] = []

    async def read(self, tags: AuditTags) -> Controls:
        """Return what is stored."""
        async with self.line.request("read controls"):
            self.reads.append(tags)
            return self.stored

    async def write(self, controls: Controls, tags: AuditTags) -> None:
        """Store *controls* if the revision is still theirs."""
        del tags
        async with self.line.request("write controls"):
            if controls.revision != self.stored.revision:
                raise KeyChangedMeanwhileError
            self.stored = replace(controls, revision=controls.revision + 1)
