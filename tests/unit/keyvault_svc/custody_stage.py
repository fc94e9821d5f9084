"""The use cases over fakes."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from keyvault_svc.domain.consent import KeyConsent
from keyvault_svc.domain.custody import KeyCustody
from keyvault_svc.domain.duplicates import Duplicates
from keyvault_svc.domain.erasure import OwnerErasure, RetentionPolicy
from keyvault_svc.domain.handoff import Handoff
from keyvault_svc.domain.key_policy import KeyPolicy
from keyvault_svc.domain.key_record import KeyRecord
from keyvault_svc.domain.key_version import VerificationOutcome
from keyvault_svc.domain.lease import Lease
from keyvault_svc.domain.names import KeyName
from keyvault_svc.domain.person import Person
from keyvault_svc.domain.ports import AuditTags, QueuedVerification
from keyvault_svc.domain.records import Records
from keyvault_svc.domain.upkeep import Upkeep
from keyvault_svc.domain.verifying import KeyVerifying
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.spiffe_id import SpiffeId
from tests.fakes.fake_clock import FakeClock
from tests.fakes.fake_fingerprint_index import FakeFingerprintIndex
from tests.fakes.fake_handoff_wrapper import FakeHandoffWrapper
from tests.fakes.fake_key_sealer import FakeKeySealer
from tests.fakes.fake_key_store import FakeKeyStore
from tests.fakes.fake_retirement_queue import FakeRetirementQueue
from tests.fakes.fake_security_log import FakeSecurityLog
from tests.fakes.fake_vault_line import FakeVaultLine
from tests.fakes.fake_verification_queue import FakeVerificationQueue
from tests.unit.keyvault_svc.samples import KEY

ALICE: Final = Person("alice")
TEAM_KEY: Final = KeyName.parse("teams/payments/keys/openai", "name")
REQUEST: Final = "request-0001"
TAGS: Final = AuditTags(REQUEST, str(KEY))
GATEWAY: Final = SpiffeId.parse("spiffe://example.org/svc/gateway-svc")
API_KEY: Final = SecretBytes(b"sk-first-canary-key-0123456789")
OTHER_API_KEY: Final = SecretBytes(b"sk-second-canary-key-012345678")
THIRD_API_KEY: Final = SecretBytes(b"sk-third-canary-key-0123456789")
VERIFIED: Final = VerificationOutcome.VERIFIED
WRONG_KEY: Final = VerificationOutcome.WRONG_KEY
NO_PLANS: Final = KeyPolicy(rotate_after=None)


class Stage:
    """The use cases, and what they work on; all fakes share one line to Vault."""

    def __init__(
        self,
        *records: KeyRecord,
        policy: KeyPolicy = NO_PLANS,
        is_always_wrapped: bool = False,
        retention: RetentionPolicy | None = None,
    ) -> None:
        self.clock = FakeClock()
        self.line = FakeVaultLine()
        self.store = FakeKeyStore(*records, line=self.line)
        self.sealer = FakeKeySealer(self.line)
        self.index = FakeFingerprintIndex(self.line)
        self.verifications = FakeVerificationQueue(self.line)
        self.retirements = FakeRetirementQueue(self.line)
        self.wrapper = FakeHandoffWrapper(self.line)
        self.security_log = FakeSecurityLog()
        for record in records:
            for fingerprint in record.fingerprints:
                said = self.index.noted.get(fingerprint, ())
                self.index.noted[fingerprint] = (*said, record.name)
        self.duplicates = Duplicates(self.index, self.store, self.security_log, policy)
        self.records = Records(
            self.store, self.duplicates, self.retirements, self.verifications, policy, self.clock
        )
        self.handoff = Handoff(self.wrapper, self.clock, is_always_wrapped=is_always_wrapped)
        self.verifying = KeyVerifying(self.verifications, self.records, self.handoff, self.clock)
        self.custody = KeyCustody(
            self.store,
            self.sealer,
            self.duplicates,
            self.records,
            self.verifying,
            policy,
            self.clock,
        )
        self.consent = KeyConsent(self.records, self.clock)
        self.upkeep = Upkeep(self.retirements, self.records, self.clock)
        self.erasure = OwnerErasure(
            self.custody, self.store, retention or RetentionPolicy(), self.clock
        )

    def stored(self, name: KeyName = KEY) -> KeyRecord:
        """Return what is stored under *name*."""
        record = self.store.current(name)
        assert record is not None
        return record

    def queued(self, name: KeyName = KEY) -> QueuedVerification:
        """Return the entry of *name* in the queue of verifications."""
        return self.verifications.entries[name]

    async def claim(self) -> Lease:
        """Claim a verification that is there."""
        lease = await self.verifying.claim(GATEWAY, REQUEST)
        assert lease is not None
        return lease

    async def verify(self, outcome: VerificationOutcome = VERIFIED) -> KeyRecord | None:
        """Claim a verification, and report *outcome*."""
        lease = await self.claim()
        return await self.verifying.report(lease.key, lease.lease_id, outcome, REQUEST)

    async def active(self) -> KeyRecord:
        """Take `API_KEY` into custody as `KEY`, and have it verified."""
        await self.custody.create(ALICE, KEY, API_KEY, REQUEST)
        await self.verify()
        return self.stored()

    async def rotated(self, overlap: timedelta | None = None) -> KeyRecord:
        """Take `API_KEY` into custody as `KEY`, and rotate it to `OTHER_API_KEY`."""
        await self.active()
        await self.custody.rotate(ALICE, KEY, OTHER_API_KEY, REQUEST, overlap=overlap)
        await self.verify()
        return self.stored()

    async def keep_up(self, seconds: float = 0) -> None:
        """Let *seconds* pass, and do the upkeep."""
        self.clock.advance(seconds)
        result = await self.upkeep.run(REQUEST)
        assert result.failed == 0

    def held_plaintexts(self) -> set[str]:
        """Return the ciphertexts in every stored version of every key, destroyed ones excepted."""
        return {
            ciphertext
            for versions in self.store.versions.values()
            for record in versions.values()
            for ciphertext in record.ciphertexts
        }
