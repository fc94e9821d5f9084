"""What the use cases reach the outside through."""

from __future__ import annotations

from dataclasses import dataclass

from keyvault_svc.domain.events import Notifier
from keyvault_svc.domain.limit_store import LimitStore
from keyvault_svc.domain.prices import PriceList
from svc_runtime.vault.session import VaultSession


@dataclass(frozen=True, slots=True)
class Doors:
    """The outside, opened once for all use cases.

    Attributes:
        session: With Vault.
        limits: The store of limits.
        notifier: Tells owners.
        prices: What models cost.
    """

    session: VaultSession
    limits: LimitStore
    notifier: Notifier
    prices: PriceList
