"""Messages of gateways to domain types and back. Secrets are wrapped here, and cleared."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from keyturn.keyvault.v1 import key_lease_service_pb2 as lease_pb
from keyturn.keyvault.v1.lease_pb2 import Lease as Message
from keyturn.keyvault.v1.lease_pb2 import Remaining as RemainingMessage
from keyvault_svc.domain.lease import (
    Lease,
    LeaseRequest,
    Remaining,
)
from keyvault_svc.domain.names import GrantName, KeyName
from keyvault_svc.domain.settlement import LeaseOutcome, LeaseSettlement
from keyvault_svc.domain.usage import Usage, UsageSource
from keyvault_svc.rpc.times import timestamp
from svc_runtime.call_context import current_call
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.service_error import InvalidFieldError
from svc_runtime.spiffe_id import SpiffeId

MAX_MORE_MODELS: Final = 16
MAX_SETTLEMENTS: Final = 1000  # in one SettleLease
_MAX_TEXT: Final = 256  # characters of an endpoint, a model or an id that is only passed on
_SHA256_BYTES: Final = 32
_MAX_TOKEN_BYTES: Final = 16 * 1024
_LEASE_ID_DIGITS: Final = 32
_METHOD: Final = re.compile(r"[A-Z]{1,16}")
_MAX_SECONDS: Final = 1e9
_MAX_TOKENS: Final = 1_000_000_000_000
_MAX_ANSWERS: Final = 1_000_000

_OUTCOME: Final = {
    lease_pb.LEASE_OUTCOME_SERVED: LeaseOutcome.SERVED,
    lease_pb.LEASE_OUTCOME_KEY_REJECTED: LeaseOutcome.KEY_REJECTED,
    lease_pb.LEASE_OUTCOME_UPSTREAM_FAILED: LeaseOutcome.UPSTREAM_FAILED,
    lease_pb.LEASE_OUTCOME_CANCELLED: LeaseOutcome.CANCELLED,
    lease_pb.LEASE_OUTCOME_UNUSED: LeaseOutcome.UNUSED,
}

_SOURCE: Final = {
    lease_pb.USAGE_SOURCE_UNSPECIFIED: UsageSource.NONE,
    lease_pb.USAGE_SOURCE_REPORTED: UsageSource.REPORTED,
    lease_pb.USAGE_SOURCE_SEEN: UsageSource.SEEN,
}


def lease_request(message: lease_pb.AcquireLeaseRequest) -> LeaseRequest:
    """Return what *message* asks for; the tokens are cleared in it.

    Raises:
        InvalidFieldError: A field breaks its rule.
    """
    unverified_app_token, unverified_owner_token = message.app_token, message.owner_token
    message.ClearField("app_token")
    message.ClearField("owner_token")
    app_token = _token("app_token", unverified_app_token)
    owner_token = _token("owner_token", unverified_owner_token)
    _must_be_sha256("body_sha256", message.body_sha256)
    if not _METHOD.fullmatch(message.method):
        raise InvalidFieldError("method", "must be 1 to 16 letters A-Z")
    if not message.endpoint:
        raise InvalidFieldError("endpoint", "must not be empty")
    return LeaseRequest(
        current_call().request_id,
        KeyName.parse(message.key, "key"),
        _app("app", message.app),
        message.method,
        _text("endpoint", message.endpoint),
        _text("model", message.model),
        _source_ip(message.source_ip),
        message.body_sha256,
        _tokens("input_token_bound", message.input_token_bound),
        _tokens("output_token_bound", message.output_token_bound),
        app_token,
        _more_models(message.more_models),
        owner_token,
        _answers(message.answer_count),
        message.runs_tools,
    )


def _more_models(unverified: Sequence[str]) -> tuple[str, ...]:
    if len(unverified) > MAX_MORE_MODELS:
        raise InvalidFieldError("more_models", f"must have at most {MAX_MORE_MODELS} entries")
    return tuple(_text("more_models", model) for model in unverified)


def lease_message(lease: Lease) -> Message:
    """Return the message that hands *lease* over."""
    return Message(
        lease_id=lease.lease_id,
        sealed_key=lease.ciphertext,
        key_version=lease.key_version,
        grant=str(GrantName(lease.key, lease.grant_id)) if lease.grant_id else "",
        expire_time=timestamp(lease.expire_time),
        wrapping_token=lease.wrapping_token.expose() if lease.wrapping_token else b"",
        base_url=lease.base_url,
        may_choose_account=lease.may_choose_account,
        remaining=_remaining(lease.remaining),
    )


def _remaining(remaining: Remaining) -> RemainingMessage | None:
    if remaining == Remaining():
        return None
    return RemainingMessage(
        requests=remaining.requests, tokens=remaining.tokens, micro_usd=remaining.micro_usd
    )


def settlements(messages: Iterable[lease_pb.LeaseSettlement]) -> list[LeaseSettlement]:
    """Return the settlements that *messages* report.

    Raises:
        InvalidFieldError: There is none, there are too many, or one breaks a rule.
    """
    parsed = [_settlement(message) for message in messages]
    if not 1 <= len(parsed) <= MAX_SETTLEMENTS:
        raise InvalidFieldError("settlements", f"must have 1 to {MAX_SETTLEMENTS} entries")
    return parsed


def lease_id_of(field: str, unverified: str) -> str:
    """Return *unverified* if it can be a lease's id.

    Raises:
        InvalidFieldError: It cannot.
    """
    if len(unverified) != _LEASE_ID_DIGITS or not set(unverified) <= set("0123456789abcdef"):
        raise InvalidFieldError(field, "must be 32 hexadecimal digits")
    return unverified


def _settlement(message: lease_pb.LeaseSettlement) -> LeaseSettlement:
    lease_id = lease_id_of("settlements.lease_id", message.lease_id)
    outcome = _OUTCOME.get(message.outcome)
    if outcome is None:
        raise InvalidFieldError("settlements.outcome", "must be one of the outcomes")
    key = KeyName.parse(message.key, "settlements.key")
    grant = GrantName.parse(message.grant, "settlements.grant")
    if grant.key != key:
        raise InvalidFieldError("settlements.grant", "must be a grant on the settlement's key")
    return LeaseSettlement(
        lease_id,
        _text("settlements.request_id", message.request_id),
        grant,
        str(_app("settlements.app", message.app)),
        outcome,
        _usage(message.usage),
        message.http_status,
        _text("settlements.openai_request_id", message.openai_request_id),
        _must_be_sha256("settlements.body_sha256", message.body_sha256),
    )


def _usage(message: lease_pb.Usage) -> Usage:
    source = _SOURCE.get(message.source)
    if source is None:
        raise InvalidFieldError("settlements.usage.source", "must be one of the sources")
    if not 0 <= message.audio_seconds < _MAX_SECONDS:
        raise InvalidFieldError("settlements.usage.audio_seconds", "must be a length in seconds")
    return Usage(
        message.input_tokens,
        message.output_tokens,
        message.cached_input_tokens,
        message.reasoning_tokens,
        message.audio_seconds,
        message.images,
        _text("settlements.usage.model", message.model),
        _text("settlements.usage.subject", message.subject),
        source,
    )


def _must_be_sha256(field: str, unverified: bytes) -> bytes:
    if len(unverified) not in {0, _SHA256_BYTES}:
        raise InvalidFieldError(field, "must have 32 bytes, or none")
    return unverified


def _token(field: str, unverified: bytes) -> SecretBytes | None:
    if len(unverified) > _MAX_TOKEN_BYTES:
        raise InvalidFieldError(field, "must have at most 16 KiB")
    return SecretBytes(unverified) if unverified else None


def _answers(unverified: int) -> int:
    if unverified > _MAX_ANSWERS:
        raise InvalidFieldError("answer_count", f"must be at most {_MAX_ANSWERS:,}")
    return max(unverified, 1)


def _tokens(field: str, unverified: int) -> int:
    if unverified > _MAX_TOKENS:
        raise InvalidFieldError(field, f"must be at most {_MAX_TOKENS:,}")
    return unverified


def _app(field: str, unverified: str) -> SpiffeId:
    try:
        return SpiffeId.parse(unverified)
    except ValueError:
        pass
    raise InvalidFieldError(field, "must be a SPIFFE ID")


def _source_ip(unverified: str) -> IPv4Address | IPv6Address:
    try:
        address = ip_address(unverified)
        # An IPv4 caller of a gateway that listens for both has such an address; grants do not.
        return getattr(address, "ipv4_mapped", None) or address
    except ValueError:
        pass
    raise InvalidFieldError("source_ip", "must be an IPv4 or IPv6 address")


def _text(field: str, unverified: str) -> str:
    if len(unverified) > _MAX_TEXT or not unverified.isascii():
        raise InvalidFieldError(field, f"must have at most {_MAX_TEXT} ASCII characters")
    if unverified and not unverified.isprintable():
        raise InvalidFieldError(field, "must have printable characters only")
    return unverified
