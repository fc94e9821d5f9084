"""Messages of limits to domain types and back."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from decimal import Decimal
from typing import Final

from keyturn.keyvault.v1 import limits_pb2 as limits_pb
from keyvault_svc.domain.limit_refs import limited_name
from keyvault_svc.domain.limits import LimitKind, Limits, LimitScope, Standing
from keyvault_svc.domain.names import OwnerName
from keyvault_svc.rpc.times import optional_timestamp

_USD: Final = frozenset({LimitKind.USD_PER_DAY, LimitKind.USD_PER_MONTH})
_COUNTS: Final = tuple(kind.value for kind in LimitKind if kind not in _USD)
_LIMIT: Final = "limits."
SINGLE_LIMITS: Final = frozenset(_LIMIT + kind.value for kind in LimitKind)
"""The paths of single limits in a field mask."""
_SCOPE: Final = {
    LimitScope.GRANT: limits_pb.LIMIT_SCOPE_GRANT,
    LimitScope.KEY: limits_pb.LIMIT_SCOPE_KEY,
    LimitScope.OWNER: limits_pb.LIMIT_SCOPE_OWNER,
}


def limits_of(path: str, message: limits_pb.Limits) -> Limits:
    """Return the limits that *message*, at *path*, asks for.

    Raises:
        InvalidFieldError: A limit breaks its rule.
    """
    return Limits.parse(
        path,
        {field.name: count for field, count in message.ListFields() if field.name in _COUNTS},
        usd_per_day=message.usd_per_day,
        usd_per_month=message.usd_per_month,
    )


def change_of_limits(
    path: str, message: limits_pb.Limits, paths: Collection[str]
) -> Callable[[Limits], Limits] | None:
    """Return the change of limits that *message*, at *path*, asks for; None for none.

    Args:
        path: Path of the limits, for errors.
        message: What the limits are to be.
        paths: Of a field mask: `limits` for all of them, `limits.<kind>` for single ones.

    Raises:
        InvalidFieldError: A limit breaks its rule.
    """
    kinds = [name.removeprefix(_LIMIT) for name in paths if name in SINGLE_LIMITS]
    if "limits" not in paths and not kinds:
        return None
    limits = limits_of(path, message)
    if "limits" in paths:
        return lambda _: limits
    single = {kind: getattr(limits, kind) for kind in kinds}
    return lambda before: replace(before, **single)


def limits_message(limits: Limits) -> limits_pb.Limits | None:
    """Return the message that describes *limits*; None if there are none."""
    if limits == Limits():
        return None
    return limits_pb.Limits(
        **{name: getattr(limits, name) for name in _COUNTS},
        usd_per_day=_text(limits.usd_per_day),
        usd_per_month=_text(limits.usd_per_month),
    )


def standing_message(owner: OwnerName, standing: Standing) -> limits_pb.LimitStanding:
    """Return the message that tells how far a limit of *owner*, or of what they own, is used up."""
    limit = standing.limit
    return limits_pb.LimitStanding(
        scope=_SCOPE[limit.scope],
        subject=str(limited_name(owner, limit)),
        kind=limits_pb.LimitKind.Value(f"LIMIT_KIND_{limit.kind.name}"),
        limit=limit.limit,
        used=standing.used,
        held=standing.held,
        remaining=standing.remaining,
        end_time=optional_timestamp(standing.end_time),
    )


def _text(usd: Decimal | None) -> str:
    return "" if usd is None else f"{usd:f}"
