"""What requests cost, by a list of prices that the operator owns."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from keyvault_svc.domain.usage import Usage

_MILLION: Final = Decimal(1_000_000)
_SECONDS_PER_MINUTE: Final = Decimal(60)
_MICRO_USD: Final = Decimal("0.000001")
# What OpenAI appends to a model's name for one state of it.
_SNAPSHOT: Final = re.compile(r"-(?:\d{4}-\d{2}-\d{2}|\d{4}|latest)")
_FINE_TUNED: Final = re.compile(r"(ft:[^:]+):.*")


@dataclass(frozen=True, slots=True)
class ModelPrice:
    """What one model costs, in USD.

    Attributes:
        input: A million tokens of prompts.
        cached_input: The same, of those that OpenAI had in its cache; None for the same price.
        output: A million tokens of answers.
        audio_minute: A minute of audio.
        image: An image.
        max_request: The most that one request can cost; None where tokens bound it.
        max_input_tokens: The most tokens that a prompt can have; None for not known.
        max_output_tokens: The most tokens that an answer can have; None for not known.
    """

    input: Decimal = Decimal(0)
    cached_input: Decimal | None = None
    output: Decimal = Decimal(0)
    audio_minute: Decimal = Decimal(0)
    image: Decimal = Decimal(0)
    max_request: Decimal | None = None
    max_input_tokens: int | None = None
    max_output_tokens: int | None = None

    def cost(self, usage: Usage) -> Decimal:
        """Return what *usage* costs, in USD, to the millionth."""
        cached = min(usage.cached_input_tokens, usage.input_tokens)
        cached_price = self.input if self.cached_input is None else self.cached_input
        tokens = (
            (usage.input_tokens - cached) * self.input
            + cached * cached_price
            + usage.output_tokens * self.output
        )
        audio = Decimal(str(usage.audio_seconds)) / _SECONDS_PER_MINUTE * self.audio_minute
        total = tokens / _MILLION + audio + usage.images * self.image
        return total.quantize(_MICRO_USD, ROUND_HALF_UP)


@dataclass(frozen=True, slots=True)
class PriceList:
    """Prices of models.

    Attributes:
        as_of: When somebody last compared them with OpenAI's.
        models: By name, without what tells one state of a model from another.
    """

    as_of: date
    models: Mapping[str, ModelPrice]

    def cost(self, usage: Usage) -> Decimal | None:
        """Return what *usage* costs, in USD; None when the list does not know its model."""
        price = self.price_of(usage.model)
        return None if price is None else price.cost(usage)

    def price_of(self, model: str) -> ModelPrice | None:
        """Return what *model* costs: by its name, or by that without its date.

        A fine-tuned model is looked up as `ft:` and its base.
        """
        name = self.name_of(model)
        return self.models[name] if name else None

    def name_of(self, model: str) -> str:
        """Return the name that *model* has in this list; empty if it has none."""
        if fine_tuned := _FINE_TUNED.fullmatch(model):
            model = fine_tuned[1]
        if model in self.models:
            return model
        base = max((n for n in self.models if model.startswith(n)), key=len, default="")
        return base if _SNAPSHOT.fullmatch(model.removeprefix(base)) and base else ""
