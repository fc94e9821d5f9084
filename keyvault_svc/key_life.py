"""The use cases, put together over one session with Vault."""

from __future__ import annotations

from keyvault_svc.domain.asking import GrantAsking
from keyvault_svc.domain.consent import KeyConsent
from keyvault_svc.domain.consent_rules import ConsentRules
from keyvault_svc.domain.custody import KeyCustody
from keyvault_svc.domain.duplicates import Duplicates
from keyvault_svc.domain.erasure import OwnerErasure
from keyvault_svc.domain.handoff import Handoff
from keyvault_svc.domain.operating import Operating
from keyvault_svc.domain.reconcilable_keys import ReconcilableKeys
from keyvault_svc.domain.reconciling import Reconciling, ReconcilingDoors
from keyvault_svc.domain.records import Records
from keyvault_svc.domain.upkeep import Upkeep
from keyvault_svc.domain.verifying import KeyVerifying
from keyvault_svc.doors import Doors
from keyvault_svc.release_log import AuditedReleaseLog
from keyvault_svc.security_log import StructuredSecurityLog
from keyvault_svc.settings import HandoffKind, Settings
from keyvault_svc.vault.kv_controls import KvControls
from keyvault_svc.vault.kv_documents import KvDocuments
from keyvault_svc.vault.kv_fingerprint_index import KvFingerprintIndex
from keyvault_svc.vault.kv_grant_requests import KvGrantRequests
from keyvault_svc.vault.kv_key_store import KvKeyStore
from keyvault_svc.vault.kv_reconciled_keys import KvReconciledKeys
from keyvault_svc.vault.kv_retirement_queue import KvRetirementQueue
from keyvault_svc.vault.kv_verification_queue import KvVerificationQueue
from keyvault_svc.vault.response_wrapper import ResponseWrapper
from keyvault_svc.vault.transit_sealer import TransitSealer
from svc_runtime.clock import Clock


class KeyLife:
    """Everything that happens to keys.

    Attributes:
        store: The stored records.
        records: The records, as all use cases read and change them.
        controls: What operators decided.
        handoff: How leases carry the sealed key.
        verifying: Verifications at OpenAI.
        custody: What owners do with keys.
        consent: What owners do with grants.
        asking: What becomes of requests for grants.
        operating: What operators stop and limit.
        erasure: What owners may ask for by the law of data protection.
        upkeep: What replicas do by themselves.
        reconciling: What finds keys that are used beside Keyturn.
    """

    def __init__(self, doors: Doors, settings: Settings, clock: Clock) -> None:
        session, notifier = doors.session, doors.notifier
        policy = settings.key_policy()
        documents = KvDocuments(session)
        store = self.store = KvKeyStore(documents)
        retirements = KvRetirementQueue(documents)
        duplicates = Duplicates(
            KvFingerprintIndex(documents), store, StructuredSecurityLog(), policy
        )
        verifications = KvVerificationQueue(documents)
        reconciled = KvReconciledKeys(documents)
        self.records = Records(
            store, duplicates, retirements, verifications, reconciled, policy, clock
        )
        self.handoff = Handoff(
            ResponseWrapper(session),
            AuditedReleaseLog(doors.audit),
            clock,
            lease_seconds=settings.lease_seconds,
            is_always_wrapped=settings.keys.handoff is HandoffKind.WRAPPED,
        )
        self.controls = KvControls(documents)
        self.verifying = KeyVerifying(
            verifications, self.records, self.controls, self.handoff, notifier, clock
        )
        self.custody = KeyCustody(
            store,
            TransitSealer(session),
            duplicates,
            self.records,
            self.verifying,
            policy,
            clock,
        )
        rules = ConsentRules(settings.consent.load(), settings.ceilings.ceilings())
        requests = KvGrantRequests(documents)
        self.consent = KeyConsent(self.records, store, rules, notifier, clock)
        self.asking = GrantAsking(requests, self.consent, rules, notifier, clock)
        self.operating = Operating(
            self.controls,
            StructuredSecurityLog(),
            notifier,
            settings.limits.owner.limits(),
            clock,
        )
        self.erasure = OwnerErasure(
            self.custody,
            store,
            requests,
            doors.limits,
            self.operating,
            settings.retention.policy(),
            clock,
        )
        self.upkeep = Upkeep(retirements, self.records, clock)
        self.reconciling = Reconciling(
            ReconcilingDoors(
                ReconcilableKeys(reconciled, self.records, store),
                self.records,
                self.controls,
                doors.limits,
                notifier,
                StructuredSecurityLog(),
            ),
            self.handoff,
            self.verifying,
            settings.reconciliation.policy(),
            clock,
        )
