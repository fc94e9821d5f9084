"""How the Redis store connects: TLS, users, passwords, and what its errors hold back."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from keyvault_svc.domain.errors import LimitStoreUnavailableError
from keyvault_svc.domain.limit_store import Held, KnownLease
from keyvault_svc.domain.limits import LimitKind
from keyvault_svc.domain.names import OwnerName
from keyvault_svc.limits.redis_connection import RedisAddress, RedisConnection, RedisKind
from keyvault_svc.limits.redis_store import RedisLimitStore
from tests.certs import Authority, write
from tests.limits.limit_samples import NOW, limit, reservation, settled, taken
from tests.tcp_relay import TcpRelay
from tests.valkey_server import ValkeyServer

LOOPBACK = "127.0.0.1"
PASSWORD = "correct-horse-battery"
# What a user needs who can do nothing else, as the deployment guide shows it.
ACL = (
    "resetkeys", "~keyturn:*", "resetchannels", "-@all", "+auth", "+ping", "+exists", "+eval",
    "+evalsha", "+hmget", "+hget", "+hset", "+hdel", "+hincrby", "+hlen", "+hgetall",
    "+zadd", "+zrem", "+zcard", "+zcount", "+zrange", "+zrevrange", "+zrangebyscore", "+zscore",
    "+zremrangebyscore", "+zremrangebyrank", "+get", "+set", "+del", "+unlink", "+expire",
    "+pexpire",
)  # fmt: skip


@asynccontextmanager
async def _tls_front(
    server: ValkeyServer, folder: Path, authority: Authority
) -> AsyncIterator[int]:
    """Speak TLS for *server*, which cannot; yield the port."""
    files = write(folder, authority.server(), authority.pem)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files.certificate, files.key)

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection(LOOPBACK, server.port)
        with contextlib.suppress(OSError):
            await asyncio.wait(
                [
                    asyncio.create_task(_pump(reader, inner_writer)),
                    asyncio.create_task(_pump(inner_reader, writer)),
                ],
                return_when=asyncio.FIRST_COMPLETED,
            )
        writer.transport.abort()
        inner_writer.transport.abort()

    front = await asyncio.start_server(relay, LOOPBACK, 0, ssl=context)
    async with front:
        yield front.sockets[0].getsockname()[1]


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()


@pytest.fixture
def users_valkey(tmp_path: Path) -> Iterator[ValkeyServer]:
    """A server where the user `keyturn` may do what the store does, and nobody else anything."""
    server = ValkeyServer(tmp_path)
    server.start()
    server.ask("ACL", "SETUSER", "keyturn", "on", f">{PASSWORD}", *ACL)
    server.ask("ACL", "SETUSER", "default", "-@all", "+ping", "+acl")
    try:
        yield server
    finally:
        server.kill()


async def test_a_server_of_a_trusted_certificate_is_spoken_to_by_tls(
    valkey: ValkeyServer, tmp_path: Path, owner: OwnerName
) -> None:
    authority = Authority()
    async with _tls_front(valkey, tmp_path, authority) as port:
        connection = RedisConnection(
            (RedisAddress("localhost", port),), ca_file=tmp_path / "ca.pem", timeout_seconds=10
        )
        store = RedisLimitStore(connection)
        assert await store.reserve(reservation(owner, "a"), NOW) == Held(())
        await store.close()


async def test_a_server_of_another_certificate_is_away(
    valkey: ValkeyServer, tmp_path: Path, owner: OwnerName
) -> None:
    other_ca = tmp_path / "other.pem"
    other_ca.write_bytes(Authority().pem)
    async with _tls_front(valkey, tmp_path, Authority()) as port:
        connection = RedisConnection(
            (RedisAddress("localhost", port),), ca_file=other_ca, timeout_seconds=10
        )
        store = RedisLimitStore(connection)
        with pytest.raises(LimitStoreUnavailableError):
            await store.reserve(reservation(owner, "a"), NOW)
        await store.close()


def _as_user(server: ValkeyServer, password_file: Path) -> RedisConnection:
    return RedisConnection(
        (RedisAddress(LOOPBACK, server.port),),
        username="keyturn",
        password_file=password_file,
        is_tls=False,
        timeout_seconds=10,
    )


async def test_a_user_needs_the_documented_rights_only(
    users_valkey: ValkeyServer, tmp_path: Path, owner: OwnerName
) -> None:
    password_file = tmp_path / "password"
    password_file.write_text(f"{PASSWORD}\n")
    limits = (limit(LimitKind.CONCURRENT_CALLS, 1), limit(LimitKind.TOKENS_PER_DAY, 9))
    store = RedisLimitStore(_as_user(users_valkey, password_file))

    await store.ping()
    assert isinstance(await store.reserve(reservation(owner, "a", *limits), NOW), Held)
    assert await store.find(owner, "a") == KnownLease("", is_settled=False)
    settled(await store.settle(taken(owner, "a"), NOW))
    assert len(await store.standings(owner, limits, NOW)) == 2
    assert await store.usage(owner, NOW.date(), NOW.date()) == []
    assert await store.forget(owner) > 0
    await store.close()


async def test_a_password_is_read_anew_at_each_connect_and_told_nobody(
    users_valkey: ValkeyServer, tmp_path: Path
) -> None:
    password_file = tmp_path / "password"
    password_file.write_text("wrong-staple")
    store = RedisLimitStore(_as_user(users_valkey, password_file))

    with capture_logs() as logs:
        with pytest.raises(LimitStoreUnavailableError) as refused:
            await store.ping()
        with pytest.raises(LimitStoreUnavailableError):
            await store.ping()
        password_file.write_text(PASSWORD)
        await store.ping()
    await store.close()

    assert [log["event"] for log in logs] == ["limit_store_away", "limit_store_back"]
    assert logs[0]["cause"] == "AuthenticationError"
    assert refused.value.__context__ is None
    assert "wrong-staple" not in repr(logs)


async def test_a_missing_password_file_is_an_outage(
    users_valkey: ValkeyServer, tmp_path: Path
) -> None:
    store = RedisLimitStore(_as_user(users_valkey, tmp_path / "none"))

    with pytest.raises(LimitStoreUnavailableError):
        await store.ping()
    await store.close()


async def test_a_lost_answer_reserves_once(valkey: ValkeyServer, owner: OwnerName) -> None:
    one = limit(LimitKind.REQUESTS_PER_MINUTE, 1)
    async with TcpRelay(valkey.port) as relay:
        await relay.open()
        connection = RedisConnection(
            (RedisAddress(LOOPBACK, relay.port),), is_tls=False, timeout_seconds=10
        )
        store = RedisLimitStore(connection)
        await store.reserve(reservation(owner, "first"), NOW)
        relay.lose_next_answer()

        result = await store.reserve(reservation(owner, "a", one), NOW)

        assert relay.lost == 1
        assert isinstance(result, Held)
        assert [standing.held for standing in result.standings] == [1]
        await store.close()


def test_plain_text_is_refused_beyond_this_machine() -> None:
    with pytest.raises(ValueError, match="without TLS"):
        RedisConnection((RedisAddress("10.0.0.1", 6379),), is_tls=False)
    RedisConnection((RedisAddress("localhost", 6379), RedisAddress("::1", 1)), RedisKind.CLUSTER)


@pytest.mark.parametrize(
    ("count", "kind", "primary_name"),
    [
        (0, RedisKind.SERVER, ""),
        (2, RedisKind.SERVER, ""),
        (1, RedisKind.SERVER, "primary"),
        (1, RedisKind.SENTINEL, ""),
    ],
    ids=["none", "two", "named", "unnamed"],
)
def test_addresses_must_fit_what_stands_there(
    count: int, kind: RedisKind, primary_name: str
) -> None:
    with pytest.raises(ValueError, match=r"one address|name of the primary"):
        RedisConnection((RedisAddress("localhost", 1),) * count, kind, primary_name)
