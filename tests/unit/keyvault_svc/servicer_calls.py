"""Calls of servicers without a server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, cast

from keyvault_svc.domain.person import PersonCaller
from svc_runtime.authentication import ServicerContext
from svc_runtime.call_context import CallContext, bind_call
from svc_runtime.caller import Caller
from tests.unit.keyvault_svc.custody_stage import GATEWAY, REQUEST

CONTEXT: Final = cast("ServicerContext", None)  # these servicers do not look at it
ALICE: Final = PersonCaller("alice", frozenset({"person"}), groups=["payments-admins"])
A_GATEWAY: Final = Caller(str(GATEWAY), frozenset({"gateway"}))


@contextmanager
def call_by(caller: Caller | None) -> Iterator[CallContext]:
    """Make a call by *caller* the current one."""
    with bind_call(CallContext(REQUEST, "/test/Method", caller)) as call:
        yield call
