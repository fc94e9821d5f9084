"""gRPC calls that nobody would make: the gateway refuses or serves each, and goes on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

import grpc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyturn.gateway.v1 import chat_completion_pb2 as chat_pb
from keyturn.gateway.v1 import chat_completion_service_pb2 as chat_service_pb
from keyturn.gateway.v1 import pass_through_service_pb2 as pass_pb
from tests.fuzz.bounds import bounded
from tests.fuzz.grpc_messages import METHODS, field, messages, nested
from tests.fuzz.target import HANG_SECONDS, Target

Channel = grpc.Channel
FAULTS = {
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DATA_LOSS,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
}
REFUSED = grpc.StatusCode.INVALID_ARGUMENT
MIB = 1024 * 1024

every_method = pytest.mark.parametrize("path", METHODS)


@pytest.fixture(scope="module")
def channel(target_of_session: Target) -> Iterator[Channel]:
    """A connection of the demo app."""
    with target_of_session.grpc_channel() as opened:
        yield opened


def _outcome(
    target: Target,
    channel: Channel,
    path: str,
    sent: Sequence[bytes],
    metadata: tuple[tuple[str, str | bytes], ...] = (),
) -> grpc.StatusCode:
    """Call *path* with raw messages; return how the call ends, which must not be a fault."""
    rpc: grpc.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(path, None, None)
    call = rpc(iter(sent), timeout=HANG_SECONDS, metadata=metadata)
    received: list[bytes] = []
    with suppress(grpc.RpcError):
        received += call
    shown = (received, call.details(), call.initial_metadata(), call.trailing_metadata())
    target.must_not_show_key(repr(shown).encode())
    code = call.code()
    assert code not in FAULTS, (code, call.details())
    return code


@every_method
@settings(bounded, max_examples=40)
@given(sent=st.lists(st.binary(max_size=100), min_size=1, max_size=3))
def test_any_bytes(target: Target, channel: Channel, path: str, sent: list[bytes]) -> None:
    _outcome(target, channel, path, sent)


@every_method
@settings(bounded, max_examples=40)
@given(data=st.data())
def test_any_message(target: Target, channel: Channel, path: str, data: st.DataObject) -> None:
    drawn = data.draw(st.lists(messages(METHODS[path].input_type), min_size=1, max_size=2))
    count = len(drawn) if METHODS[path].client_streaming else 1

    _outcome(target, channel, path, [message.SerializeToString() for message in drawn[:count]])


@every_method
def test_two_messages_in_place_of_one(target: Target, channel: Channel, path: str) -> None:
    _outcome(target, channel, path, [b"", b""])


@pytest.mark.parametrize("path", [p for p, method in METHODS.items() if method.client_streaming])
def test_no_message_at_all(target: Target, channel: Channel, path: str) -> None:
    assert _outcome(target, channel, path, []) is REFUSED


PASS = "/keyturn.gateway.v1.PassThroughService/Call"
CHAT = "/keyturn.gateway.v1.ChatCompletionService/CreateChatCompletion"


def _passing(body: bytes) -> bytes:
    """Return the pass-through of *body* to chat completions."""
    request = pass_pb.UpstreamRequest(method="POST", path="chat/completions", body=body)
    return pass_pb.CallRequest(request=request).SerializeToString()


@pytest.mark.parametrize(
    ("size", "code"),
    [
        (10 * MIB + 1, REFUSED),
        (16 * MIB - 100, REFUSED),
        (16 * MIB, grpc.StatusCode.RESOURCE_EXHAUSTED),
        (64 * MIB, grpc.StatusCode.RESOURCE_EXHAUSTED),
    ],
)
def test_a_huge_message(target: Target, size: int, code: grpc.StatusCode) -> None:
    # A connection of some age may end with the refusal, while most of the message is on its way.
    with target.grpc_channel() as young:
        assert _outcome(target, young, PASS, [_passing(b"[" * size)]) is code


@pytest.mark.parametrize("depth", [200, 100_000])
@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_deep_json(target: Target, channel: Channel, depth: int, opening: bytes) -> None:
    body = b'{"model":"gpt-4o-mini","messages":' + opening * depth

    assert _outcome(target, channel, PASS, [_passing(body)]) is REFUSED


@pytest.mark.parametrize("depth", [1, 40, 60, 200, 100_000])
def test_deep_messages(target: Target, channel: Channel, depth: int) -> None:
    parameters = chat_service_pb.ChatCompletionParameters(
        model="gpt-4o-mini", messages=[chat_pb.ChatMessage(role="user", content="hi")]
    ).SerializeToString()
    number = chat_service_pb.ChatCompletionParameters.EXTENSION_FIELD_NUMBER
    request = field(1, parameters + field(number, nested(depth)))

    code = _outcome(target, channel, CHAT, [request])

    assert code is (REFUSED if depth > 40 else grpc.StatusCode.OK)


NAMES = st.one_of(
    st.sampled_from(["x-keyturn-key", "x-keyturn-request-id", "authorization", "user-agent"]),
    st.from_regex(r"[a-z0-9_.-]{1,20}", fullmatch=True).filter(lambda name: name[:5] != "grpc-"),
)
TEXTS = st.one_of(
    st.sampled_from(["", "users/alice/keys/standin", "Bearer a.b.c", "Bearer ", "a" * 4000]),
    st.from_regex(r"[\x20-\x7e]{0,40}", fullmatch=True),
)
ENTRIES = st.lists(
    st.tuples(NAMES.filter(lambda name: not name.endswith("-bin")), TEXTS)
    | st.tuples(NAMES.map(lambda name: f"{name}-bin"), st.binary(max_size=60)),
    max_size=6,
)


@bounded
@given(entries=ENTRIES)
def test_any_metadata(
    target: Target, channel: Channel, entries: list[tuple[str, str | bytes]]
) -> None:
    _outcome(target, channel, CHAT, [b""], tuple(entries))


@pytest.mark.parametrize(("count", "size"), [(1, 20_000), (500, 10), (20_000, 10), (1, 10_000_000)])
def test_more_metadata_than_anybody_needs(
    target: Target, channel: Channel, count: int, size: int
) -> None:
    entries = tuple((f"a{number}", "b" * size) for number in range(count))

    assert _outcome(target, channel, CHAT, [b""], entries) in {
        REFUSED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
    }


@pytest.mark.parametrize(
    "path", ["/x/y", "/keyturn.gateway.v1.PassThroughService/x", "/", "//", "/x"]
)
def test_a_method_that_does_not_exist(target: Target, channel: Channel, path: str) -> None:
    assert _outcome(target, channel, path, [b""]) is grpc.StatusCode.UNIMPLEMENTED
