"""The gateway's worker: does what the key service has to verify, as long as the process lives."""

from __future__ import annotations

import asyncio
import random
from typing import Final

import structlog

from gateway_svc.domain.verifier import Verification, Verifier
from svc_runtime.call_context import bind_request_id
from svc_runtime.service_error import ServiceError
from svc_runtime.telemetry.spans import error_type_of, untraced, work_span

_log = structlog.get_logger()

_MAX_PAUSE_SECONDS: Final = 30.0


class VerificationWorker:
    """Runs several verifications side by side, and paces itself when there is nothing to do."""

    def __init__(self, verifier: Verifier, *, poll_seconds: float, concurrency: int) -> None:
        """Prepare.

        Args:
            verifier: What does one verification.
            poll_seconds: How often to ask while there is nothing to do, about.
            concurrency: How many verifications to do at the same time.
        """
        self._verifier = verifier
        self._poll_seconds = poll_seconds
        self._slots = asyncio.Semaphore(concurrency)

    async def run(self) -> None:
        """Work until cancelled; what is under way then runs out at the key service."""
        failures = 0
        async with asyncio.TaskGroup() as group:
            while True:
                await self._slots.acquire()
                verification = None
                with bind_request_id(), untraced():
                    try:
                        verification = await self._verifier.claim()
                    except ServiceError:  # whoever could not answer has logged it
                        failures += 1
                    except Exception as error:  # noqa: BLE001 - one fault must not end all verifying
                        _log.error("internal_error", exc_info=error)
                        failures += 1
                    else:
                        failures = 0
                if verification is not None:
                    group.create_task(self._verify(verification))  # and ask for more at once
                    continue
                self._slots.release()
                await asyncio.sleep(pause_seconds(self._poll_seconds, failures, random.random()))  # noqa: S311 - spreads load, guards nothing

    async def _verify(self, verification: Verification) -> None:
        fields = {"key": str(verification.key), "lease": verification.lease.lease_id}
        try:
            with (
                bind_request_id(verification.request_id),
                work_span("keyturn.verify_key") as span,
            ):
                span.set("keyturn.request_id", verification.request_id)
                span.set("keyturn.lease_id", verification.lease.lease_id)
                try:
                    outcome = await self._verifier.verify(verification)
                except ServiceError as error:
                    span.fail(error.reason)
                    _log.warning("verification_failed", reason=error.reason, **fields)
                except Exception as error:  # noqa: BLE001 - as above; the others go on
                    span.fail(error_type_of(error))
                    _log.error("internal_error", exc_info=error, **fields)
                else:
                    _log.info("key_verified", outcome=outcome.value, **fields)
        finally:
            self._slots.release()


def pause_seconds(poll_seconds: float, failures: int, jitter: float) -> float:
    """Return how long to wait before the next question.

    Args:
        poll_seconds: The pause when all is well.
        failures: How often in a row the key service could not answer.
        jitter: From 0 to 1; keeps gateways from asking together.

    Returns:
        Seconds: three quarters to five quarters of *poll_seconds*, doubled with every failure to
        at most 30.
    """
    doubled = min(poll_seconds * 2.0 ** min(failures, 10), _MAX_PAUSE_SECONDS)
    return max(doubled, poll_seconds) * (0.75 + jitter / 2)
