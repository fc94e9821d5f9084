"""TLS of the HTTPS listener: 1.3 only, a client certificate if the client has one."""

from __future__ import annotations

import asyncio
import ssl
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Final

import structlog
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from svc_runtime.spiffe_id import SpiffeId
from svc_runtime.start_error import StartError
from svc_runtime.tls_files import TLSFilesError, TLSFilesWatcher, TLSMaterial

_log = structlog.get_logger()

_URI: Final = "URI"
_SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a private folder is made in it


def server_ssl_context(watcher: TLSFilesWatcher) -> ssl.SSLContext:
    """Return a context whose handshakes use the newest certificate and CA.

    A client certificate is optional, and verified when there is one.

    Raises:
        TLSFilesError: OpenSSL does not take the certificate, such as one with a short RSA key.
        StartError: There is no place from which OpenSSL could take the key.
    """
    material = watcher.current()
    try:
        context = _context(material)
    except ssl.SSLError as error:
        raise TLSFilesError(f"{watcher.files.certificate}: OpenSSL does not take it") from error
    except OSError as error:
        raise StartError(
            f"{_SHARED_MEMORY}: cannot hold the certificate's key for a moment ({error.strerror}); "
            "mount a tmpfs there that this user can write to"
        ) from error
    newest = (material.generation, context)

    def use_newest(
        handshake: ssl.SSLObject | ssl.SSLSocket, _server_name: str | None, _: ssl.SSLContext
    ) -> None:
        """Called in each handshake, whether or not the client names a server."""
        nonlocal newest
        material = watcher.current()
        if material.generation != newest[0]:
            # An exception would end this handshake and every later one; the context before serves.
            try:
                newest = (material.generation, _context(material))
            except ssl.SSLError:
                newest = (material.generation, newest[1])
                _log_refusal(watcher)
            except OSError:  # no room for the key, or no free descriptor: the next one tries again
                _log_refusal(watcher)
        handshake.context = newest[1]

    context.sni_callback = use_newest
    return context


def peer_spiffe_id(transport: asyncio.BaseTransport, now: datetime) -> SpiffeId | None:
    """Return the SPIFFE id of the connection's verified client certificate.

    Returns:
        None when there is no certificate, or it expired before *now*, after its handshake, or it
        does not have exactly one URI name, or that is no SPIFFE id (X.509-SVID, section 2).
    """
    certificate = transport.get_extra_info("peercert") or {}
    if certificate and ssl.cert_time_to_seconds(certificate["notAfter"]) < now.timestamp():
        return None
    names = certificate.get("subjectAltName", ())
    uris = [value for kind, value in names if kind == _URI]
    if len(uris) != 1:
        return None
    try:
        return SpiffeId.parse(uris[0])
    except ValueError:
        return None


def _context(material: TLSMaterial) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_OPTIONAL
    # DER, because ssl takes PEM in ASCII only, and CA bundles have names of CAs between the blocks.
    authorities = x509.load_pem_x509_certificates(material.ca)
    context.load_verify_locations(
        cadata=b"".join(a.public_bytes(Encoding.DER) for a in authorities)
    )
    context.set_alpn_protocols(["http/1.1"])
    # A resumed session is not verified anew: with a ticket, a client whose certificate expired, or
    # whose CA was replaced, would be let in again and again.
    context.num_tickets = 0
    # The ssl module takes a key from a file only: one in memory, gone before this returns.
    with tempfile.TemporaryDirectory(dir=_memory_dir()) as folder:
        file = Path(folder) / "pair.pem"
        file.touch(mode=0o600)
        file.write_bytes(material.key + b"\n" + material.certificate_chain)
        context.load_cert_chain(file)
    return context


def _log_refusal(watcher: TLSFilesWatcher) -> None:
    _log.warning("certificate_reload_refused", path=str(watcher.files.certificate))


def _memory_dir() -> str | None:
    return str(_SHARED_MEMORY) if _SHARED_MEMORY.is_dir() else None
