"""Certificate, key and CA of a process, read again whenever the files change."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import structlog
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from svc_runtime.clock import Clock

_log = structlog.get_logger()

# A handshake or a call asks at most so often whether the files changed; a `stat` costs 2 us.
_DEFAULT_INTERVAL_SECONDS: Final = 1.0

_Identity = tuple[tuple[int, int, int], ...]


class TLSFilesError(Exception):
    """The files cannot be used. The text names the file and what is wrong, never its content."""


@dataclass(frozen=True, slots=True)
class TLSFiles:
    """Where the PEM files are."""

    certificate: Path
    key: Path
    ca: Path


@dataclass(frozen=True, slots=True)
class TLSMaterial:
    """What one state of the files holds, PEM.

    Attributes:
        generation: Counts the states that were taken, from 1.
        expire_time: When the certificate expires.
    """

    certificate_chain: bytes
    key: bytes
    ca: bytes
    generation: int
    expire_time: datetime

    def __repr__(self) -> str:
        return f"TLSMaterial(generation={self.generation})"


class TLSFilesWatcher:
    """Hands out the newest usable state of the files.

    Files that do not parse, do not belong together (one of two was replaced so far) or have
    expired are left alone: the state before them serves on until they are right.
    """

    def __init__(
        self, files: TLSFiles, clock: Clock, *, interval_seconds: float = _DEFAULT_INTERVAL_SECONDS
    ) -> None:
        """Read *files*, and look at them again at most every *interval_seconds*.

        Raises:
            TLSFilesError: They cannot be used.
        """
        self.files = files
        self._clock = clock
        self._interval_seconds = interval_seconds
        # gRPC asks from a thread of its own, HTTPS and the channels from the event loop's.
        self._lock = threading.Lock()
        self._seen = self._identity()
        self._material = self._read(generation=1)
        self._checked = clock.monotonic()
        self._refusal = ""

    def current(self) -> TLSMaterial:
        """Return the newest usable state; does not fail. Any thread may ask."""
        with self._lock:
            return self._newest()

    def seconds_left(self) -> float:
        """Return how long the certificate in use is still valid; negative once it has expired."""
        left = self.current().expire_time - self._clock.now().astimezone(UTC)
        return left.total_seconds()

    def _newest(self) -> TLSMaterial:
        now = self._clock.monotonic()
        if now - self._checked < self._interval_seconds:
            return self._material
        self._checked = now
        try:
            identity = self._identity()
            if identity == self._seen:
                return self._material
            self._material = self._read(self._material.generation + 1)
            self._seen = identity
            self._refusal = ""
            _log.info("certificate_reloaded", generation=self._material.generation)
        except TLSFilesError as error:
            # Not remembered as seen: the next round looks again, until the files are right.
            if str(error) != self._refusal:  # once per problem, not once per second
                self._refusal = str(error)
                _log.warning("certificate_reload_refused", path=str(self.files.certificate))
        return self._material

    def _identity(self) -> _Identity:
        """Return what tells two states of the files apart, symbolic links followed."""
        identities = []
        for path in (self.files.certificate, self.files.key, self.files.ca):
            try:
                status = path.stat()
            except OSError as error:
                raise TLSFilesError(f"{path}: {error.strerror}") from error
            identities.append((status.st_mtime_ns, status.st_ino, status.st_size))
        return tuple(identities)

    def _read(self, generation: int) -> TLSMaterial:
        files = self.files
        chain = _bytes_of(files.certificate)
        leaf = _first_certificate(files.certificate, chain)
        material = TLSMaterial(
            chain,
            _bytes_of(files.key),
            _bytes_of(files.ca),
            generation,
            leaf.not_valid_after_utc,
        )
        _first_certificate(files.ca, material.ca)
        if leaf.not_valid_after_utc <= self._clock.now().astimezone(UTC):
            raise TLSFilesError(f"{files.certificate}: the certificate has expired")
        public_key = _public_key_of(material.key)
        if public_key is None:
            raise TLSFilesError(f"{files.key}: is not a PEM private key without password")
        if public_key != _certified_key_of(leaf):
            raise TLSFilesError(f"{files.key}: does not belong to {files.certificate}")
        return material


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise TLSFilesError(f"{path}: {error.strerror}") from error


def _public_key_of(private_key_pem: bytes) -> PublicKeyTypes | None:
    try:
        return load_pem_private_key(private_key_pem, password=None).public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None


def _certified_key_of(certificate: x509.Certificate) -> PublicKeyTypes | None:
    try:
        return certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return None


def _first_certificate(path: Path, pem: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificates(pem)[0]
    except (ValueError, IndexError, x509.InvalidVersion):
        pass
    raise TLSFilesError(f"{path}: holds no PEM certificate")
