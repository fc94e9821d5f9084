"""The use cases, put together over one session with Vault."""

from __future__ import annotations

from keyvault_svc.domain.consent import KeyConsent
from keyvault_svc.domain.custody import KeyCustody
from keyvault_svc.domain.duplicates import Duplicates
from keyvault_svc.domain.erasure import OwnerErasure
from keyvault_svc.domain.handoff import Handoff
from keyvault_svc.domain.records import Records
from keyvault_svc.domain.upkeep import Upkeep
from keyvault_svc.domain.verifying import KeyVerifying
from keyvault_svc.security_log import StructuredSecurityLog
from keyvault_svc.settings import HandoffKind, Settings
from keyvault_svc.vault.kv_documents import KvDocuments
from keyvault_svc.vault.kv_fingerprint_index import KvFingerprintIndex
from keyvault_svc.vault.kv_key_store import KvKeyStore
from keyvault_svc.vault.kv_retirement_queue import KvRetirementQueue
from keyvault_svc.vault.kv_verification_queue import KvVerificationQueue
from keyvault_svc.vault.response_wrapper import ResponseWrapper
from keyvault_svc.vault.transit_sealer import TransitSealer
from svc_runtime.clock import Clock
from svc_runtime.vault.session import VaultSession


class KeyLife:
    """Everything that happens to keys.

    Attributes:
        records: The records, as all use cases read and change them.
        handoff: How leases carry the sealed key.
        verifying: Verifications at OpenAI.
        custody: What owners do with keys.
        consent: What owners do with grants.
        erasure: What owners may ask for by the law of data protection.
        upkeep: What replicas do by themselves.
    """

    def __init__(self, session: VaultSession, settings: Settings, clock: Clock) -> None:
        policy = settings.keys.policy()
        documents = KvDocuments(session)
        store = KvKeyStore(documents)
        retirements = KvRetirementQueue(documents)
        duplicates = Duplicates(
            KvFingerprintIndex(documents), store, StructuredSecurityLog(), policy
        )
        verifications = KvVerificationQueue(documents)
        self.records = Records(store, duplicates, retirements, verifications, policy, clock)
        self.handoff = Handoff(
            ResponseWrapper(session),
            clock,
            lease_seconds=settings.lease_seconds,
            is_always_wrapped=settings.keys.handoff is HandoffKind.WRAPPED,
        )
        self.verifying = KeyVerifying(verifications, self.records, self.handoff, clock)
        self.custody = KeyCustody(
            store,
            TransitSealer(session),
            duplicates,
            self.records,
            self.verifying,
            policy,
            clock,
        )
        self.consent = KeyConsent(self.records, clock)
        self.erasure = OwnerErasure(self.custody, store, settings.retention.policy(), clock)
        self.upkeep = Upkeep(retirements, self.records, clock)
