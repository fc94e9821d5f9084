"""Fixtures that every test may use."""

from __future__ import annotations

from tests.openbao_fixture import canary_key, openbao

__all__ = ["canary_key", "openbao"]
