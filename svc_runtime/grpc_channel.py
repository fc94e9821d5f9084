"""A gRPC channel that follows certificate changes without dropping a call."""

from __future__ import annotations

import asyncio
from typing import Final

import grpc

from svc_runtime.interceptors.client_tracing import tracing_interceptors
from svc_runtime.tls_files import TLSFilesWatcher, TLSMaterial

# Calls in flight on a channel that was replaced have so long to end; all have shorter deadlines.
_GRACE_SECONDS: Final = 120.0


class ReloadingChannel:
    """mTLS to one service. New calls use the newest certificate; calls in flight keep theirs."""

    def __init__(self, target: str, watcher: TLSFilesWatcher, *, server_name: str) -> None:
        """Describe the channel; it connects with the first call.

        Args:
            target: gRPC target. Several addresses are used in turn.
            watcher: This process's certificate, and the CA of the server's.
            server_name: DNS name that the server's certificate must have. gRPC in Python cannot
                check the SPIFFE id of a server; the CA is private, so the name is as good.
        """
        self._target = target
        self._watcher = watcher
        self._options = (
            ("grpc.ssl_target_name_override", server_name),
            ("grpc.enable_http_proxy", 0),
            ("grpc.lb_policy_name", "round_robin"),
            # A peer that comes back is found within a second, not after the usual two minutes.
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.min_reconnect_backoff_ms", 1000),
            ("grpc.max_reconnect_backoff_ms", 1000),
            # Names are looked up again when a connection ends, which servers see to every few
            # seconds: so a replica that comes is found. By default gRPC waits for half a minute.
            ("grpc.dns_min_time_between_resolutions_ms", 1_000),
            # A peer that vanished without a word is noticed while a call waits for it.
            ("grpc.keepalive_time_ms", 30_000),
            ("grpc.keepalive_timeout_ms", 5_000),
        )
        self._generation = 0
        self._channel: grpc.aio.Channel | None = None
        self._retiring: set[asyncio.Task[None]] = set()

    def channel(self) -> grpc.aio.Channel:
        """Return the channel for the next call. Ask anew for each call."""
        material = self._watcher.current()
        if self._channel is None or material.generation != self._generation:
            return self._replace(material)
        return self._channel

    async def close(self) -> None:
        """Close at once, with every call that is still in flight."""
        for task in self._retiring:
            task.cancel()
        await asyncio.gather(*self._retiring, return_exceptions=True)
        if self._channel is not None:
            await self._channel.close()

    def _replace(self, material: TLSMaterial) -> grpc.aio.Channel:
        before = self._channel
        credentials = grpc.ssl_channel_credentials(
            material.ca, material.key, material.certificate_chain
        )
        channel = grpc.aio.secure_channel(
            self._target, credentials, options=self._options, interceptors=tracing_interceptors()
        )
        self._channel = channel
        self._generation = material.generation
        if before is not None:
            task = asyncio.create_task(_retire(before))
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)
        return channel


async def _retire(channel: grpc.aio.Channel) -> None:
    """Close *channel* after the grace period; at once, with its calls, when cancelled."""
    try:
        # Not `close(_GRACE_SECONDS)`: cancelled, it would leave the calls running for good.
        await asyncio.sleep(_GRACE_SECONDS)
    finally:
        await channel.close()
