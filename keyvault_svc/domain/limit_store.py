"""What keeping limits needs from the outside, as a contract that every store meets alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final, Protocol

from keyvault_svc.domain.limits import WARNING_PERCENTS, Amounts, LimitRef, Standing
from keyvault_svc.domain.names import OwnerName

MAX_NOTE: Final = 4096  # characters
KEEP_USAGE: Final = timedelta(days=400)  # a year and a month, to compare with
KEEP_SPENT: Final = timedelta(days=1)  # after a budget's day or month, for late settlements


@dataclass(frozen=True, slots=True)
class Reservation:
    """What one lease reserves.

    Attributes:
        limits: Those to keep, in the order of checks: no two of the same scope, subject and kind.
            Empty where nothing is limited.
        amounts: What the request may take at most.
        end_time: When the request is over at the latest: it holds no concurrent call any more,
            and what was not settled by then stays as it was reserved.
        note: Kept as it is until the lease is forgotten; at most 4,096 characters.
    """

    lease_id: str
    owner: OwnerName
    limits: tuple[LimitRef, ...]
    amounts: Amounts
    end_time: datetime
    note: str = ""

    def __post_init__(self) -> None:
        """Refuse a note that is too long.

        Raises:
            ValueError: It is.
        """
        if len(self.note) > MAX_NOTE:
            raise ValueError(f"a note has at most {MAX_NOTE:,} characters")


@dataclass(frozen=True, slots=True)
class KnownLease:
    """A lease that reserved, and is not forgotten.

    Attributes:
        note: Of its reservation.
        reserved: What the store found beside it, for `Taken` to bring along. Never changes.
    """

    note: str
    is_settled: bool
    reserved: str = field(default="", repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Held:
    """A reservation that was made.

    Attributes:
        standings: Of each of its limits, with this reservation in it, in the same order.
    """

    standings: tuple[Standing, ...]


@dataclass(frozen=True, slots=True)
class Exceeded:
    """A reservation that was not made; nothing was changed.

    Attributes:
        standing: Of the first limit that it does not fit, as it stands without it.
        retry_time: When what is in its way is over at the latest: the window, or the first of the
            calls under way. None if it is more than the limit itself.
    """

    standing: Standing
    retry_time: datetime | None


@dataclass(frozen=True, slots=True)
class UsageRow:
    """What one day's requests of one kind took: all that is kept of them.

    Attributes:
        day: In UTC, of the settlement.
        member: The person who was present; empty where nobody proved to be.
        micro_usd: Millionths of a USD, of the requests whose cost is known.
        unpriced_requests: Requests whose cost is not known.
    """

    day: date
    key_id: str
    grant_id: str
    app: str
    model: str
    member: str
    requests: int
    input_tokens: int
    output_tokens: int
    micro_usd: int
    unpriced_requests: int


@dataclass(frozen=True, slots=True)
class Taken:
    """What one settled lease took.

    Attributes:
        amounts: For the limits. Those of a request that took nothing are 0; None for as much as
            was reserved.
        row: For the usage: one row's worth; None to keep none.
        subject: Id of OpenAI's object that the amounts are of; an owner's subject counts once, and
            a repetition takes nothing but its request. Empty for none.
        grant_id: The grant, whose networks are remembered; empty for none.
        network: The network that the app called from, such as `192.0.2.0/24`; empty for not known.
        warning_percents: Shares of each budget whose crossing is to be told, ascending.
        reserved: Of the `KnownLease`, so that the store need not look for it again; empty where
            nobody looked.
    """

    lease_id: str
    owner: OwnerName
    amounts: Amounts | None
    row: UsageRow | None = None
    subject: str = ""
    grant_id: str = ""
    network: str = ""
    warning_percents: tuple[int, ...] = WARNING_PERCENTS
    reserved: str = field(default="", repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Crossing:
    """A budget of which a share was used up by this settlement, for the first time in its window.

    Attributes:
        percent: The highest of the shares that were asked for and are reached.
    """

    standing: Standing
    percent: int


@dataclass(frozen=True, slots=True)
class Settled:
    """What a settlement brought about.

    Attributes:
        crossings: Of budgets, each at most once in a window, whatever the number of replicas.
        is_first_use: Whether the grant was never used before.
        is_new_network: Whether the grant was used before, and never from this network.
    """

    crossings: tuple[Crossing, ...] = ()
    is_first_use: bool = False
    is_new_network: bool = False


class LimitStore(Protocol):
    """Counts what is reserved and used, atomically, for all replicas that share it.

    Every method raises `LimitStoreUnavailableError` when the store cannot answer, within a few
    seconds; it may have done what was asked nevertheless.

    Nothing stays for ever. A lease is known for an hour after its end, a subject for 60 days,
    a network for 400 days after its last use, a row of usage for 400 days. A grant has at most 256
    networks, the least recently used are forgotten first. An owner has at most 10,000 rows a day;
    what comes after them is counted under the model `other`, without a member. Longer words than
    any that Keyturn gives out are cut. Amounts count up to 2^48.
    """

    async def reserve(self, reservation: Reservation, now: datetime) -> Held | Exceeded:
        """Reserve all of it, or nothing.

        It fits if, for each limit, used, held and the amount together are at most the limit. A
        lease that reserved already gets its standings again, and reserves nothing more.
        """

    async def settle(self, taken: Taken, now: datetime) -> Settled | None:
        """Put what a lease took in place of what it reserved, in the windows of the reservation.

        Returns:
            None when the lease is not known, or was settled: nothing is counted twice.
        """

    async def find(self, owner: OwnerName, lease_id: str) -> KnownLease | None:
        """Return what is known of a lease; None when it never reserved, or is forgotten.

        It may be found a while after its hour, until the store removes it; it settles nothing then.
        """

    async def standings(
        self, owner: OwnerName, limits: Sequence[LimitRef], now: datetime
    ) -> tuple[Standing, ...]:
        """Return how far *limits* are used up, in the same order."""

    async def usage(self, owner: OwnerName, since: date, until: date) -> list[UsageRow]:
        """Return the rows of the days from *since* to *until*, both included, sorted."""

    async def forget(self, owner: OwnerName, *, keeps_spent: bool = False) -> int:
        """Remove what is kept of *owner*; return how many entries that were.

        Args:
            owner: The owner.
            keeps_spent: Whether what was taken of the owner's own rates and budgets, beside those
                of keys and grants, stays until their windows end.
        """

    async def ping(self) -> None:
        """Return if the store answers."""

    async def close(self) -> None:
        """Give back what is held open. Idempotent."""
