from __future__ import annotations

from datetime import UTC, datetime

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from structlog.testing import capture_logs

from gateway_svc.domain.errors import KeyServiceUnavailableError
from gateway_svc.domain.lease_ports import Remaining
from gateway_svc.keyvault_client.lease_message import lease_of
from keyturn.keyvault.v1 import lease_pb2 as lease_pb
from svc_runtime.secret_bytes import SecretBytes

END = datetime(2026, 3, 1, 12, 0, 10, tzinfo=UTC)
SEALED = "vault:v1:canary"
TOKEN = b"s.canary"


def _message(sealed_key: str = "", wrapping_token: bytes = b"") -> lease_pb.Lease:
    expire_time = Timestamp()
    expire_time.FromDatetime(END)
    return lease_pb.Lease(
        lease_id="0" * 32,
        sealed_key=sealed_key,
        key_version=3,
        grant="users/alice/keys/openai/grants/0123456789abcdef",
        expire_time=expire_time,
        wrapping_token=wrapping_token,
    )


def test_an_inline_lease_carries_the_sealed_key() -> None:
    lease = lease_of(_message(SEALED))

    assert (lease.lease_id, lease.key_version, lease.expire_time) == ("0" * 32, 3, END)
    assert lease.grant == "users/alice/keys/openai/grants/0123456789abcdef"
    assert (lease.ciphertext, lease.wrapping_token) == (SEALED, None)


def test_a_wrapped_lease_carries_a_token_that_shows_nowhere() -> None:
    message = _message(wrapping_token=TOKEN)

    lease = lease_of(message)

    assert (lease.ciphertext, lease.wrapping_token) == ("", SecretBytes(TOKEN))
    assert message.wrapping_token == b""
    assert "canary" not in repr(lease)


def test_a_lease_says_what_is_left_and_tells_nothing_left_from_no_limit() -> None:
    message = _message(SEALED)
    message.remaining.CopyFrom(lease_pb.Remaining(requests=0, micro_usd=2**64 - 1))

    assert lease_of(message).remaining == Remaining(0, None, 2**64 - 1)
    assert lease_of(_message(SEALED)).remaining == Remaining()


@pytest.mark.parametrize("message", [_message(), _message(SEALED, TOKEN)], ids=["neither", "both"])
def test_a_lease_that_hands_over_in_no_way_or_in_two_is_an_outage(
    message: lease_pb.Lease,
) -> None:
    with capture_logs() as events, pytest.raises(KeyServiceUnavailableError):
        lease_of(message)

    assert [(event["event"], event["log_level"]) for event in events] == [
        ("lease_malformed", "error")
    ]
    assert "canary" not in str(events)
