"""The use cases over fakes."""

from __future__ import annotations

import weakref
from datetime import timedelta
from functools import cached_property
from typing import Final

from keyvault_svc.domain.asking import GrantAsking
from keyvault_svc.domain.consent import KeyConsent
from keyvault_svc.domain.consent_rules import ConsentRules
from keyvault_svc.domain.consent_text import ConsentText
from keyvault_svc.domain.custody import KeyCustody
from keyvault_svc.domain.duplicates import Duplicates
from keyvault_svc.domain.erasure import OwnerErasure
from keyvault_svc.domain.handoff import Handoff
from keyvault_svc.domain.key_policy import KeyPolicy
from keyvault_svc.domain.key_record import KeyRecord
from keyvault_svc.domain.key_version import VerificationOutcome
from keyvault_svc.domain.lease import Lease
from keyvault_svc.domain.limits import Limits
from keyvault_svc.domain.names import KeyName
from keyvault_svc.domain.operating import Operating
from keyvault_svc.domain.person import Person
from keyvault_svc.domain.ports import AuditTags, QueuedVerification
from keyvault_svc.domain.records import Records
from keyvault_svc.domain.retention import RetentionPolicy
from keyvault_svc.domain.upkeep import Upkeep
from keyvault_svc.domain.verifying import KeyVerifying
from keyvault_svc.limits.file_store import FileLimitStore
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.spiffe_id import SpiffeId
from tests.fakes.breakable_limit_store import BreakableLimitStore
from tests.fakes.fake_clock import FakeClock
from tests.fakes.fake_controls_store import FakeControlsStore
from tests.fakes.fake_fingerprint_index import FakeFingerprintIndex
from tests.fakes.fake_grant_request_store import FakeGrantRequestStore
from tests.fakes.fake_handoff_wrapper import FakeHandoffWrapper
from tests.fakes.fake_key_sealer import FakeKeySealer
from tests.fakes.fake_key_store import FakeKeyStore
from tests.fakes.fake_notifier import FakeNotifier
from tests.fakes.fake_operating_log import FakeOperatingLog
from tests.fakes.fake_reconciled_keys import FakeReconciledKeys
from tests.fakes.fake_release_log import FakeReleaseLog
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
TEXT: Final = ConsentText("2027-01", "You let an app use your key.")
NO_LIMITS: Final = Limits()
NO_PLANS: Final = KeyPolicy(rotate_after=None)


class Stage:
    """The use cases, and what they work on; all fakes share one line to Vault."""

    def __init__(
        self,
        *records: KeyRecord,
        policy: KeyPolicy = NO_PLANS,
        is_always_wrapped: bool = False,
        retention: RetentionPolicy | None = None,
        rules: ConsentRules | None = None,
        owner_limits: Limits = NO_LIMITS,
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
        self.reconciled = FakeReconciledKeys(self.line)
        self.records = Records(
            self.store,
            self.duplicates,
            self.retirements,
            self.verifications,
            self.reconciled,
            policy,
            self.clock,
        )
        self.release_log = FakeReleaseLog()
        self.handoff = Handoff(
            self.wrapper, self.release_log, self.clock, is_always_wrapped=is_always_wrapped
        )
        self.notifier = FakeNotifier()
        self.controls = FakeControlsStore(line=self.line)
        self.verifying = KeyVerifying(
            self.verifications,
            self.records,
            self.controls,
            self.handoff,
            self.notifier,
            self.clock,
        )
        self.custody = KeyCustody(
            self.store,
            self.sealer,
            self.duplicates,
            self.records,
            self.verifying,
            policy,
            self.clock,
        )
        self.requests = FakeGrantRequestStore(self.line)
        rules = rules or ConsentRules(TEXT)
        self.consent = KeyConsent(self.records, self.store, rules, self.notifier, self.clock)
        self.asking = GrantAsking(self.requests, self.consent, rules, self.notifier, self.clock)
        self.upkeep = Upkeep(self.retirements, self.records, self.clock)
        self.operating_log = FakeOperatingLog()
        self.operating = Operating(
            self.controls, self.operating_log, self.notifier, owner_limits, self.clock
        )
        self.retention = retention or RetentionPolicy()

    @cached_property
    def limits(self) -> BreakableLimitStore:
        """The store of limits, a real one; opened when somebody asks, for it has a thread."""
        store = FileLimitStore(None)
        # The thread ends with the stage.
        weakref.finalize(self, store._commits._queue.put, None)
        return BreakableLimitStore(store)

    @cached_property
    def erasure(self) -> OwnerErasure:
        """What owners may ask for by the law of data protection."""
        return OwnerErasure(
            self.custody,
            self.store,
            self.requests,
            self.limits,
            self.operating,
            self.retention,
            self.clock,
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
