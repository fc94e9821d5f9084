"""What a request counts for: which limits, and at most how much."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from keyvault_svc.domain.errors import ModelPriceUnknownError, TokenBoundRequiredError
from keyvault_svc.domain.grant import Grant
from keyvault_svc.domain.key_record import KeyRecord
from keyvault_svc.domain.lease import LeaseRequest
from keyvault_svc.domain.limit_refs import limit_refs
from keyvault_svc.domain.limits import Amounts, LimitRef, Limits, micro_usd_covering
from keyvault_svc.domain.names import GrantName
from keyvault_svc.domain.prices import ModelPrice, PriceList
from keyvault_svc.domain.usage import Usage

# Requests that make nothing take no tokens: they read, or remove.
_IDLE_METHODS: Final = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})
_LIVE: Final = "WEBSOCKET"  # a session, of any number of turns
# Nor do those that only store something. A file can be read by a later request, whose own body does
# not say how long it is: that has no bound.
_IDLE_ENDPOINTS: Final = ("containers", "conversations", "files", "uploads", "vector_stores")


@dataclass(frozen=True, slots=True)
class Charge:
    """What one request counts for.

    Attributes:
        limits: Those to keep, in the order of checks: rates before budgets, and within these the
            grant's before the key's before the owner's.
        amounts: The most that it can take.
        bound: The same, as a usage.
    """

    limits: tuple[LimitRef, ...]
    amounts: Amounts
    bound: Usage


class Charging:
    """Works out charges, by a list of prices."""

    def __init__(self, prices: PriceList) -> None:
        self._prices = prices

    def charge(
        self, record: KeyRecord, grant: Grant, owner_limits: Limits, request: LeaseRequest
    ) -> Charge:
        """Return what *request* counts for.

        Raises:
            TokenBoundRequiredError: A limit in tokens or USD holds, and nothing bounds what the
                request takes.
            ModelPriceUnknownError: A limit in USD holds, and the list lacks a model's price.
        """
        limits = (grant.terms.limits, record.limits, owner_limits)
        counts_usd = any(held.count_usd for held in limits)
        if not counts_usd and not any(held.count_tokens for held in limits):
            bound = Usage(request.input_token_bound, request.output_token_bound)
            return Charge(_refs(record, grant, limits), Amounts(), bound)
        counts_tokens = any(held.count_tokens for held in limits)
        bound = self._bound(request, is_needed=counts_tokens)
        cost = self._cost(request, bound) if counts_usd else 0
        amounts = Amounts(1, bound.input_tokens + bound.output_tokens, cost)
        return Charge(_refs(record, grant, limits), amounts, bound)

    def amounts(self, usage: Usage) -> Amounts | None:
        """Return what a settled request took; None when the list lacks its model's price."""
        cost = self._prices.cost(usage)
        if cost is None:
            return None
        return Amounts(1, usage.input_tokens + usage.output_tokens, micro_usd_covering(cost))

    def _bound(self, request: LeaseRequest, *, is_needed: bool) -> Usage:
        """Return the most tokens that *request* can take; none known where not needed."""
        if _is_idle(request):
            return Usage()
        prices = [self._prices.price_of(model) for model in request.models if model]
        known = [price for price in prices if price is not None]
        answer = request.output_token_bound or _most(known, prices, "max_output_tokens")
        if answer is not None and not request.output_token_bound:
            answer *= request.answer_count
        # A prompt that is not in the body fits into the model's window, unless it grows on the way.
        prompt = request.input_token_bound or _most(known, prices, "max_input_tokens")
        grows = request.runs_tools or request.method == _LIVE
        if answer is not None and prompt is not None and not grows:
            return Usage(prompt, answer)
        has_price_of_its_own = known and all(price.max_request is not None for price in known)
        if is_needed or not has_price_of_its_own:
            raise TokenBoundRequiredError
        return Usage()

    def _cost(self, request: LeaseRequest, bound: Usage) -> int:
        """Return the most that *request* can cost, in millionths of a USD."""
        if _is_idle(request):
            return 0
        prices = [self._prices.price_of(model) for model in dict.fromkeys(request.models)]
        costs = [_highest_cost(price, bound) for price in prices if price is not None]
        if not costs or len(costs) < len(prices):
            raise ModelPriceUnknownError
        if request.method == _LIVE and len(costs) > 1:  # it began, and reserved, with one
            raise TokenBoundRequiredError
        return sum(costs)  # each of them may run


def _is_idle(request: LeaseRequest) -> bool:
    if request.method == _LIVE:
        return False
    if request.method in _IDLE_METHODS:
        return True
    if not request.has_body and not request.models:  # such as to cancel a response
        return True
    return any(
        request.endpoint == path or request.endpoint.startswith(path + "/")
        for path in _IDLE_ENDPOINTS
    )


def _most(known: list[ModelPrice], prices: list[ModelPrice | None], field: str) -> int | None:
    """Return the largest *field* of the models; None unless each has one."""
    bounds: list[int] = [bound for price in known if (bound := getattr(price, field)) is not None]
    return max(bounds) if bounds and len(bounds) == len(prices) else None


def _highest_cost(price: ModelPrice, bound: Usage) -> int:
    if price.max_request is not None:
        return micro_usd_covering(price.max_request)
    if price.audio_minute or price.image:
        raise TokenBoundRequiredError  # what is not billed by tokens is not bounded by tokens
    # Nothing is taken for cached before OpenAI says so, nor for cheaper because it is.
    by_cache = (replace(bound, cached_input_tokens=cached) for cached in (0, bound.input_tokens))
    return micro_usd_covering(max(price.cost(usage) for usage in by_cache))


def _refs(
    record: KeyRecord, grant: Grant, limits: tuple[Limits, Limits, Limits]
) -> tuple[LimitRef, ...]:
    of_grant, of_key, of_owner = limits
    refs = [
        *limit_refs(GrantName(record.name, grant.grant_id), of_grant),
        *limit_refs(record.name, of_key),
        *limit_refs(record.name.owner, of_owner),
    ]
    return tuple(sorted(refs, key=lambda ref: ref.kind.is_budget))  # stable
