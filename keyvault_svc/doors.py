"""What the use cases reach the outside through."""

from __future__ import annotations

from dataclasses import dataclass

from keyvault_svc.domain.anomalies.baseline_store import BaselineStore
from keyvault_svc.domain.events import Notifier
from keyvault_svc.domain.limit_store import LimitStore
from keyvault_svc.domain.prices import PriceList
from svc_runtime.audit_stream.stream import AuditStream
from svc_runtime.vault.session import VaultSession


@dataclass(frozen=True, slots=True)
class Doors:
    """The outside, opened once for all use cases.

    Attributes:
        session: With Vault.
        audit: The audit stream.
        limits: The store of limits.
        baselines: What is kept of how grants are used, beside the limits.
        notifier: Tells owners.
        prices: What models cost.
    """

    session: VaultSession
    audit: AuditStream
    limits: LimitStore
    baselines: BaselineStore
    notifier: Notifier
    prices: PriceList
