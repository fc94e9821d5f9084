from __future__ import annotations

import ssl
import stat
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store

from keyturn_cli.local.listener_certificate import (
    LIFETIME,
    RENEW_BEFORE_EXPIRY,
    ListenerCertificate,
    ensure_listener_certificate,
)
from svc_runtime.clock import SystemClock


class _ShiftedClock(SystemClock):
    def __init__(self, shift: timedelta) -> None:
        self._shift = shift

    def now(self) -> datetime:
        return super().now() + self._shift


def _ensure(folder: Path, shift: timedelta = timedelta()) -> ListenerCertificate:
    return ensure_listener_certificate(folder / "tls", _ShiftedClock(shift))


@pytest.mark.parametrize(
    "subject",
    [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))],
    ids=["name", "address"],
)
def test_the_listener_is_trusted_under_both_its_names(
    tmp_path: Path, subject: x509.DNSName | x509.IPAddress
) -> None:
    files = _ensure(tmp_path)
    authority = x509.load_pem_x509_certificate(files.ca_file.read_bytes())
    listener = x509.load_pem_x509_certificate(files.certificate_file.read_bytes())

    verifier = PolicyBuilder().store(Store([authority])).build_server_verifier(subject)

    assert verifier.verify(listener, []) == [listener, authority]


def test_key_and_certificate_belong_together(tmp_path: Path) -> None:
    files = _ensure(tmp_path)

    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(files.certificate_file, files.key_file)


def test_the_key_is_the_owners_alone_and_the_authoritys_key_is_nowhere(tmp_path: Path) -> None:
    files = _ensure(tmp_path)

    keys = [path for path in (tmp_path / "tls").iterdir() if b"PRIVATE" in path.read_bytes()]

    assert keys == [files.key_file]
    assert stat.S_IMODE(files.key_file.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("left", "is_kept"),
    [(timedelta(minutes=1), True), (timedelta(minutes=-1), False)],
    ids=["more-than-30-days-left", "less"],
)
def test_a_certificate_is_kept_while_it_is_good_for_long_enough(
    tmp_path: Path, left: timedelta, *, is_kept: bool
) -> None:
    before = _ensure(tmp_path).ca_file.read_bytes()

    after = _ensure(tmp_path, LIFETIME - RENEW_BEFORE_EXPIRY - left).ca_file.read_bytes()

    assert (before == after) is is_kept


@pytest.mark.parametrize("damaged", ["ca.pem", "listener.pem", "listener-key.pem"])
@pytest.mark.parametrize("content", [None, b"", b"-----BEGIN CERTIFICATE-----\n"])
def test_a_damaged_set_of_files_is_made_anew(
    tmp_path: Path, damaged: str, content: bytes | None
) -> None:
    files = _ensure(tmp_path)
    (tmp_path / "tls" / damaged).unlink()
    if content is not None:
        (tmp_path / "tls" / damaged).write_bytes(content)

    _ensure(tmp_path)

    test_key_and_certificate_belong_together(tmp_path)
    assert files.ca_file.read_bytes().startswith(b"-----BEGIN CERTIFICATE-----")


def test_files_of_two_runs_are_not_mixed(tmp_path: Path) -> None:
    files = _ensure(tmp_path)
    other = _ensure(tmp_path / "other")
    files.ca_file.write_bytes(other.ca_file.read_bytes())

    _ensure(tmp_path)

    authority = x509.load_pem_x509_certificate(files.ca_file.read_bytes())
    listener = x509.load_pem_x509_certificate(files.certificate_file.read_bytes())
    listener.verify_directly_issued_by(authority)
