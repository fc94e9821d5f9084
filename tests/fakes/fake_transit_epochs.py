"""The versions of a transit key that seals nothing: its ciphertexts say their version."""

from __future__ import annotations

from collections.abc import Sequence

from keyvault_svc.domain.errors import KeyRecordUnreadableError
from keyvault_svc.domain.key_version import SealedKey
from keyvault_svc.domain.names import KeyName
from keyvault_svc.domain.ports import AuditTags
from keyvault_svc.domain.rewrap_ports import Epochs
from svc_runtime.clock import Clock
from tests.fakes.fake_vault_line import FakeVaultLine


class FakeTransitEpochs:
    """`TransitEpochs` in memory.

    Attributes:
        epochs: The versions.
        raise_times: When the minimum was set, on the clock.
    """

    def __init__(self, line: FakeVaultLine, clock: Clock) -> None:
        self._line = line
        self._clock = clock
        self.epochs = Epochs(latest=1, minimum=1)
        self.raise_times: list[float] = []

    def opens(self, ciphertext: str) -> bool:
        """Tell whether *ciphertext* opens now."""
        epoch = SealedKey(ciphertext, "").epoch
        return self.epochs.minimum <= epoch <= self.epochs.latest

    async def current(self) -> Epochs:
        """Return the versions."""
        async with self._line.request("read epochs"):
            return self.epochs

    async def rotate(self) -> None:
        """Make a new version."""
        async with self._line.request("rotate"):
            self.epochs = Epochs(self.epochs.latest + 1, self.epochs.minimum)

    async def rewrap(self, name: KeyName, ciphertexts: Sequence[str], tags: AuditTags) -> list[str]:
        """Return *ciphertexts* with the latest version in them."""
        del name, tags
        async with self._line.request("rewrap"):
            if not all(map(self.opens, ciphertexts)):
                raise KeyRecordUnreadableError
            latest = self.epochs.latest
            return [f"vault:v{latest}:{text.split(':', 2)[2]}" for text in ciphertexts]

    async def raise_minimum(self, epoch: int) -> None:
        """Let no older ciphertext open."""
        async with self._line.request("raise minimum"):
            self.epochs = Epochs(self.epochs.latest, epoch)
            self.raise_times.append(self._clock.monotonic())
