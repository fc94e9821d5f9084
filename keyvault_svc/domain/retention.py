"""What is kept of an owner where Keyturn cannot erase it, or does not, and until when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from keyvault_svc.domain.limit_store import KEEP_SPENT, KEEP_USAGE
from keyvault_svc.domain.limits import Window


@dataclass(frozen=True, slots=True)
class RetentionNotice:
    """What is kept outside of the live store.

    Attributes:
        place: One word for where.
        content: What of the owner it holds.
        retention: For how long, as the deployment declares it; None where it declares nothing.
        gone_time: When the last of it is gone; None where that is not known.
    """

    place: str
    content: str
    retention: timedelta | None
    gone_time: datetime | None


def notice_of(
    place: str, content: str, retention: timedelta | None, now: datetime
) -> RetentionNotice:
    """Return the notice of what is kept for *retention* from *now* on; None for not known."""
    return RetentionNotice(
        place, content, retention, None if retention is None else now + retention
    )


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """For how long the deployment keeps what Keyturn itself cannot erase; None: not declared."""

    vault_backups: timedelta | None = None
    vault_audit_log: timedelta | None = None
    service_logs: timedelta | None = None

    def notices(self, now: datetime) -> tuple[RetentionNotice, ...]:
        """Return what stays of an owner that was erased at *now*."""
        places = (
            (
                "vault_backups",
                (
                    "Snapshots made before the erasure hold the records and the sealed keys; "
                    "restoring one brings them back."
                ),
                self.vault_backups,
            ),
            (
                "vault_audit_log",
                "Requests for the owner's records: times, names of keys and apps, request ids.",
                self.vault_audit_log,
            ),
            (
                "service_logs",
                (
                    "Calls about and with the owner's keys: times, names of keys and apps, "
                    "endpoints, models, numbers of tokens."
                ),
                self.service_logs,
            ),
            (
                "operator_controls",
                (
                    "Suspensions, and limits for the owner alone, if operators made any: until an "
                    "operator ends them, and in former versions until ten more changes."
                ),
                None,
            ),
        )
        return tuple(notice_of(place, content, kept, now) for place, content, kept in places)


def held_limits(now: datetime) -> RetentionNotice:
    """Return what the store of limits holds on an owner, who uses keys until *now*."""
    content = (
        "Usage, which GetUsage tells; counts against limits; networks that grants were used from."
    )
    return notice_of("limit_store", content, KEEP_USAGE, now)


def kept_spent(now: datetime) -> RetentionNotice:
    """Return what the store of limits keeps of an owner who erased themselves at *now*."""
    _, end = Window.MONTH.bounds(now)
    content = "What was taken of the owner's limits, until their day or month is over."
    return notice_of("limit_store", content, end + KEEP_SPENT - now, now)
