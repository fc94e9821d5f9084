"""The gateway under test: raw connections to it, and what it and the stand-in wrote down."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import time
from contextlib import closing, suppress
from functools import cached_property
from typing import Any

import grpc

from keyturn_cli.local.stack import LocalStack
from svc_runtime.secret_bytes import SecretBytes
from tests.e2e.secret_search import forms_of
from tests.fuzz.http_answers import Answer, answers_in
from tests.live_files import FollowedFile, whole_lines

HANG_SECONDS = 20.0  # more than the gateway waits for a head, and than it lingers
_GOOD = b"GET /v1/models HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n"
_PIECE_BYTES = 65536
_LONG_BYTES = 10_000  # of what is sent in one piece in any case
POLL_SECONDS = 0.05
_OF_CLIENTS = "aiohttp.http_exceptions."  # aiohttp logs a malformed request as an error


class Target:
    """The gateway of *stack*."""

    def __init__(self, stack: LocalStack, api_key: SecretBytes) -> None:
        self.stack = stack
        self._forms = forms_of(api_key)
        self._log = FollowedFile(stack.services["gateway-svc"].log_file)
        self._faults: list[str] = []

    @property
    def pid(self) -> int | None:
        """Its process; None when that has ended."""
        return self.stack.services["gateway-svc"].pid

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return self._new_tls()

    def _new_tls(self) -> ssl.SSLContext:
        tls = ssl.create_default_context(cafile=self.stack.layout.ca_file)
        tls.load_cert_chain(*self.stack.layout.certificate("app-demo"))
        return tls

    def connect_plainly(self, front: str = "http") -> socket.socket:
        """Connect to the port of a *front*, `http` or `grpc`."""
        port = self.stack.ports[f"gateway-{front}"]
        connection = socket.create_connection(("127.0.0.1", port), timeout=HANG_SECONDS)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def connect(self) -> ssl.SSLSocket:
        """Connect to the HTTP front as the demo app."""
        return self._tls.wrap_socket(self.connect_plainly(), server_hostname="127.0.0.1")

    def connect_to_grpc(self) -> ssl.SSLSocket:
        """Connect to the gRPC front as the demo app, to speak HTTP/2 by hand."""
        tls = self._new_tls()
        tls.set_alpn_protocols(["h2"])
        return tls.wrap_socket(self.connect_plainly("grpc"), server_hostname="127.0.0.1")

    def grpc_channel(self) -> grpc.Channel:
        """Connect to the gRPC front as the demo app."""
        certificate, key = (path.read_bytes() for path in self.stack.layout.certificate("app-demo"))
        credentials = grpc.ssl_channel_credentials(
            self.stack.layout.ca_file.read_bytes(), key, certificate
        )
        options = (("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1))
        port = self.stack.ports["gateway-grpc"]
        return grpc.secure_channel(f"127.0.0.1:{port}", credentials, options)

    def said_to(self, request: bytes, piece_bytes: int | None = None) -> bytes:
        """Send *request* and return all that comes back until the gateway closes.

        Args:
            request: What to send.
            piece_bytes: How much of it goes into one record of TLS; None for all.

        Raises:
            TimeoutError: It does neither answer nor close.
        """
        size = piece_bytes if piece_bytes and len(request) <= _LONG_BYTES else len(request)
        with self.connect() as connection:
            with suppress(ConnectionError, ssl.SSLError):  # it may close before it has read it all
                for start in range(0, len(request), size):
                    connection.sendall(request[start : start + size])
            return self.read_to_end(connection)

    def answers_to(self, request: bytes, piece_bytes: int | None = None) -> list[Answer]:
        """Send *request*, and return the answers that come until the gateway closes."""
        received = self.said_to(request, piece_bytes)
        return answers_in(received, is_head=request.startswith(b"HEAD "))

    def read_to_end(self, connection: ssl.SSLSocket) -> bytes:
        """Return all that comes over *connection*; no form of the key is in it."""
        received = b""
        with suppress(ConnectionError, ssl.SSLError):  # it may cut the connection
            while piece := connection.recv(_PIECE_BYTES):
                received += piece
        self.must_not_show_key(received)
        return received

    def must_not_show_key(self, received: bytes) -> None:
        """Fail if *received* holds the key in any form."""
        assert [name for name, form in self._forms.items() if form in received] == []

    def serves(self) -> bool:
        """Tell whether a good call is served."""
        return [answer.status for answer in self.answers_to(_GOOD)] == [200]

    def faults(self) -> list[str]:
        """Return what the gateway logged of faults of its own."""
        self._faults += filter(_is_fault, self._log.new_lines())
        return list(self._faults)

    def reached_openai(self, marker: str) -> list[dict[str, Any]]:
        """Return the requests, as the stand-in got them, that bear *marker* anywhere."""
        record = self.stack.layout.logs_dir / "openai-standin.requests.jsonl"
        return [json.loads(line) for line in whole_lines(record) if marker in line]

    def must_leave_openai(self) -> None:
        """Wait until no request is open at the stand-in.

        Raises:
            TimeoutError: One stays open.
        """
        give_up = time.monotonic() + HANG_SECONDS
        while self._open_at_openai():
            if time.monotonic() > give_up:
                raise TimeoutError
            time.sleep(POLL_SECONDS)

    def _open_at_openai(self) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.stack.ports["openai-standin"])
        with closing(connection):
            connection.request("GET", "/standin/progress")
            counts: dict[str, int] = json.load(connection.getresponse())
        return counts["open_requests"]


def _is_fault(line: str) -> bool:
    try:
        entry = json.loads(line)
    except ValueError:
        return True  # a traceback, or what a library wrote
    if entry.get("exception", "").startswith(_OF_CLIENTS):
        return False
    return entry["level"] in {"error", "critical"} or entry.get("reason") == "INTERNAL"
