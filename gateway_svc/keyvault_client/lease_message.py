"""The key service's message of a lease."""

from __future__ import annotations

from datetime import UTC

import structlog

from gateway_svc.domain.errors import KeyServiceUnavailableError
from gateway_svc.domain.lease_ports import Lease, Remaining
from keyturn.keyvault.v1 import lease_pb2 as lease_pb
from svc_runtime.secret_bytes import SecretBytes

_log = structlog.get_logger()


def lease_of(message: lease_pb.Lease) -> Lease:
    """Return the lease that *message* hands over; the wrapping token is cleared in it.

    Raises:
        KeyServiceUnavailableError: It carries the sealed key in no way or in two: this is not a
            key service of ours.
    """
    if bool(message.sealed_key) == bool(message.wrapping_token):
        _log.error("lease_malformed", lease=message.lease_id)
        raise KeyServiceUnavailableError
    token = SecretBytes(message.wrapping_token) if message.wrapping_token else None
    message.ClearField("wrapping_token")
    return Lease(
        message.lease_id,
        message.key_version,
        message.grant,
        message.expire_time.ToDatetime(tzinfo=UTC),
        message.sealed_key,
        token,
        message.base_url,
        message.may_choose_account,
        _remaining(message.remaining),
    )


def _remaining(message: lease_pb.Remaining) -> Remaining:
    return Remaining(
        message.requests if message.HasField("requests") else None,
        message.tokens if message.HasField("tokens") else None,
        message.micro_usd if message.HasField("micro_usd") else None,
    )
