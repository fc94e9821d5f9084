"""What an owner changes about a key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from keyvault_svc.domain.key_assurance import KeyAssurance
from keyvault_svc.domain.key_policy import KeyPolicy
from keyvault_svc.domain.key_record import KeyRecord
from keyvault_svc.domain.limits import Limits
from svc_runtime.service_error import InvalidFieldError


@dataclass(frozen=True, slots=True)
class KeyChange:
    """What an owner changes about a key; None for what stays as it is.

    Attributes:
        expire_time: The new expiry; None for never. Taken where `sets_expire_time`.
        sets_expire_time: Whether to change the expiry.
        base_url: Where at OpenAI the key is used from now on.
        openai_key_id: The id at OpenAI of the newest version; empty for not told.
        limits: Makes the new limits of those that the key has.
    """

    expire_time: datetime | None = None
    sets_expire_time: bool = False
    assurance: KeyAssurance | None = None
    base_url: str | None = None
    limits: Callable[[Limits], Limits] | None = None
    openai_key_id: str | None = None

    def check(self, policy: KeyPolicy, now: datetime) -> None:
        """Refuse what no key may be given.

        Raises:
            InvalidFieldError: The expiry is not in the future, or the deployment does not allow
                the base URL.
        """
        if self.expire_time is not None and self.expire_time <= now:
            raise InvalidFieldError("key.expire_time", "must lie in the future")
        policy.must_allow(self.base_url or "", "key.base_url")

    def applied_to(self, record: KeyRecord) -> KeyRecord:
        """Return *record* with the change.

        Raises:
            KeyStateConflictError: The key is being deleted.
        """
        if self.sets_expire_time:
            record = record.expiring(self.expire_time)
        if self.base_url is not None:
            record = record.moved(self.base_url)
        if self.assurance is not None:
            record = record.handed_over(self.assurance)
        if self.openai_key_id is not None:
            record = record.identified(self.openai_key_id)
        return record if self.limits is None else record.limited(self.limits(record.limits))
