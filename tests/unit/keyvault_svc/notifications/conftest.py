"""Fixtures of the tests of notifications."""

from __future__ import annotations

from tests.unit.keyvault_svc.notifications.service_log import log_lines

__all__ = ["log_lines"]
