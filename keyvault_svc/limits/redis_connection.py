"""Where Redis or Valkey is, and how to speak to it."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from redis.asyncio import Redis, RedisCluster, Sentinel
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import SentinelConnectionPool
from redis.backoff import NoBackoff
from redis.credentials import CredentialProvider


class RedisKind(StrEnum):
    """What stands at the addresses."""

    SERVER = "server"  # one server, or a name that always leads to the one that takes writes
    SENTINEL = "sentinel"  # sentinels, which tell where the primary is
    CLUSTER = "cluster"  # some nodes of a cluster


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """Host and port."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether nothing but this machine can be there."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


@dataclass(frozen=True, slots=True)
class RedisConnection:
    """Where Redis or Valkey is, and how to speak to it.

    Attributes:
        addresses: One of a server, some of a cluster, all of the sentinels.
        primary_name: How the sentinels call the primary; empty for other kinds.
        username: The ACL user; empty for the default one.
        password_file: Holds the user's password, and is read anew at each connect. Sentinels get
            neither name nor password.
        is_tls: Whether to speak TLS, 1.2 or newer. Needed beyond this machine.
        ca_file: PEM file of a CA to trust beside the system's.
        certificate_file: PEM file of a client certificate; `key_file` goes with it.
        timeout_seconds: How long an operation may take in all, its one repetition included.
        max_connections: Operations at one time; more wait.
    """

    addresses: tuple[RedisAddress, ...]
    kind: RedisKind = RedisKind.SERVER
    primary_name: str = ""
    username: str = ""
    password_file: Path | None = None
    is_tls: bool = True
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    timeout_seconds: float = 1.0
    max_connections: int = 50

    def __post_init__(self) -> None:
        """Refuse what cannot work, and plain text on a network: passwords and names pass here.

        Raises:
            ValueError: The addresses do not fit the kind, or need TLS.
        """
        if not self.addresses or (self.kind is RedisKind.SERVER and len(self.addresses) > 1):
            raise ValueError("a server has one address; sentinels and a cluster have some")
        if (self.kind is RedisKind.SENTINEL) != bool(self.primary_name):
            raise ValueError("sentinels need the name of the primary, and nothing else has one")
        if not self.is_tls and not all(address.is_loopback for address in self.addresses):
            raise ValueError("only a server on this machine may be spoken to without TLS")

    def open(self) -> Redis | RedisCluster:
        """Return a client; it connects on demand."""
        first = self.addresses[0]
        match self.kind:
            case RedisKind.CLUSTER:
                return RedisCluster(
                    startup_nodes=[ClusterNode(a.host, a.port) for a in self.addresses],
                    ssl=self.is_tls,
                    # The second time it asks anew who has the keys.
                    **{**self._common(), "retry": Retry(NoBackoff(), 1)},
                    **self._tls(),
                )
            case RedisKind.SENTINEL:
                tls = {"ssl": self.is_tls, **self._tls()}
                sentinels = Sentinel(  # type: ignore[no-untyped-call]  # redis-py has no types here
                    [(a.host, a.port) for a in self.addresses],
                    sentinel_kwargs={**self._limits(), **tls},
                )
                primary: Redis = sentinels.master_for(self.primary_name, **self._common(), **tls)
                return primary
            case RedisKind.SERVER:
                return Redis(
                    host=first.host,
                    port=first.port,
                    ssl=self.is_tls,
                    **self._common(),
                    **self._tls(),
                )

    def _common(self) -> dict[str, Any]:
        return {
            **self._limits(),
            "max_connections": self.max_connections,
            "credential_provider": self.password_file
            and _PasswordFile(self.username, self.password_file),
        }

    def _limits(self) -> dict[str, Any]:
        attempt_seconds = self.timeout_seconds / 2  # two fit
        return {
            "socket_timeout": attempt_seconds,
            "socket_connect_timeout": attempt_seconds,
            "retry": Retry(NoBackoff(), 0),  # the store repeats, what may be repeated
            "protocol": 2,  # every server speaks it, and none sends what was not asked for
            "decode_responses": True,
            "driver_info": None,  # one command less at each connect
        }

    def _tls(self) -> dict[str, Any]:
        if not self.is_tls:
            return {}
        return {
            "ssl_ca_certs": self.ca_file and str(self.ca_file),
            "ssl_certfile": self.certificate_file and str(self.certificate_file),
            "ssl_keyfile": self.key_file and str(self.key_file),
            "ssl_check_hostname": True,
            "ssl_min_version": ssl.TLSVersion.TLSv1_2,
        }


async def close(client: Redis | RedisCluster) -> None:
    """Close all connections of *client*, those to sentinels, too."""
    await client.aclose()
    if isinstance(client, Redis) and isinstance(client.connection_pool, SentinelConnectionPool):
        for sentinel in client.connection_pool.sentinel_manager.sentinels:
            await sentinel.aclose()


class _PasswordFile(CredentialProvider):
    """Reads the password each time, so that a new one needs no restart."""

    def __init__(self, username: str, file: Path) -> None:
        self._username = username
        self._file = file

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        password = self._file.read_text(encoding="utf-8").rstrip("\r\n")
        return (self._username, password) if self._username else (password,)

    async def get_credentials_async(self) -> tuple[str] | tuple[str, str]:
        return self.get_credentials()
