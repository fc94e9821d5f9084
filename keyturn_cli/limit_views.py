"""Limits as documents with stable names, and in words."""

from __future__ import annotations

from decimal import Decimal

from keyturn.keyvault.v1 import limits_pb2 as limits_pb
from keyturn_cli.usd_amounts import usd_words

LimitsDocument = dict[str, int | str]
"""Limits, for programs. Those that are not set are not in it."""


def limits_document(limits: limits_pb.Limits) -> LimitsDocument:
    """Return *limits* for programs, in the order of the API."""
    return {field.name: limit for field, limit in limits.ListFields()}


def limits_words(limits: LimitsDocument) -> str:
    """Return *limits* on one line; empty for none."""
    return ", ".join(f"{kind_words(kind)} {_number(limit)}" for kind, limit in limits.items())


def kind_words(kind: str) -> str:
    """Return what *kind*, as documents name it, limits."""
    return kind.replace("_", " ").replace("usd", "USD")


def _number(limit: int | str) -> str:
    return f"{limit:,}" if isinstance(limit, int) else usd_words(Decimal(limit))
