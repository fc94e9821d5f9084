from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)
from structlog.testing import capture_logs

from svc_runtime.tls_files import TLSFilesError, TLSFilesWatcher
from tests.certs import Authority, Pair, replace, write
from tests.fakes.fake_clock import START, FakeClock

CA = Authority()
# A PKCS#8 key whose algorithm (1.2.3.4) nobody knows, as a platform of tomorrow may write one.
UNKNOWN_ALGORITHM = (
    b"-----BEGIN "
    b"""PRIVATE KEY-----
MBACAQAwBwYDKgMEBQAEAgQA
-----END PRIVATE KEY-----
"""
)


def _pair(end_hours: float = 1.0) -> Pair:
    return CA.issue(dns=["localhost"], end=START + timedelta(hours=end_hours))


def _encrypted_key() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))


def test_the_material_is_what_the_files_hold(tmp_path: Path) -> None:
    pair = _pair()

    material = TLSFilesWatcher(write(tmp_path, pair, CA.pem), FakeClock()).current()

    assert (material.certificate_chain, material.key) == (pair.certificate, pair.key)
    assert (material.ca, material.generation) == (CA.pem, 1)


def test_a_new_pair_is_taken_at_the_next_look(tmp_path: Path) -> None:
    clock, new = FakeClock(), _pair()
    watcher = TLSFilesWatcher(write(tmp_path, _pair(), CA.pem), clock)
    write(tmp_path, new, CA.pem)
    clock.advance(1)

    material = watcher.current()

    assert (material.certificate_chain, material.generation) == (new.certificate, 2)


def test_a_new_ca_alone_is_taken(tmp_path: Path) -> None:
    clock, other = FakeClock(), Authority("the next CA")
    watcher = TLSFilesWatcher(write(tmp_path, _pair(), CA.pem), clock)
    replace(watcher.files.ca, CA.pem + other.pem)
    clock.advance(1)

    assert watcher.current().ca == CA.pem + other.pem


def test_the_files_are_looked_at_once_in_an_interval(tmp_path: Path) -> None:
    clock = FakeClock()
    watcher = TLSFilesWatcher(write(tmp_path, _pair(), CA.pem), clock, interval_seconds=5)
    write(tmp_path, _pair(), CA.pem)
    clock.advance(4.9)

    assert watcher.current().generation == 1


def test_unchanged_files_stay_the_same_generation(tmp_path: Path) -> None:
    clock = FakeClock()
    watcher = TLSFilesWatcher(write(tmp_path, _pair(), CA.pem), clock)
    clock.advance(10)

    assert watcher.current().generation == 1


def test_a_symbolic_link_that_points_elsewhere_is_a_change(tmp_path: Path) -> None:
    clock = FakeClock()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write(tmp_path / name, _pair(), CA.pem)
    link = tmp_path / "current"
    link.symlink_to("one")
    files = write(link, _pair(), CA.pem)
    watcher = TLSFilesWatcher(files, clock)
    link.unlink()
    link.symlink_to("two")
    clock.advance(1)

    assert watcher.current().certificate_chain == (tmp_path / "two/tls.pem").read_bytes()


def test_half_a_replacement_is_left_alone_until_the_other_half_comes(tmp_path: Path) -> None:
    clock, old, new = FakeClock(), _pair(), _pair()
    watcher = TLSFilesWatcher(write(tmp_path, old, CA.pem), clock)
    replace(watcher.files.key, new.key)
    clock.advance(1)
    with capture_logs() as logs:
        half = watcher.current()
    replace(watcher.files.certificate, new.certificate)
    clock.advance(1)

    assert (half.certificate_chain, half.key) == (old.certificate, old.key)
    assert [log["event"] for log in logs] == ["certificate_reload_refused"]
    assert watcher.current().key == new.key


@pytest.mark.parametrize("name", ["tls.pem", "tls.key", "ca.pem"])
@pytest.mark.parametrize("content", [b"", b"not PEM", b"\xff\x00", None, UNKNOWN_ALGORITHM])
def test_unusable_files_do_not_replace_usable_ones(
    tmp_path: Path, name: str, content: bytes | None
) -> None:
    clock, pair = FakeClock(), _pair()
    watcher = TLSFilesWatcher(write(tmp_path, pair, CA.pem), clock)
    if content is None:
        (tmp_path / name).unlink()
    else:
        replace(tmp_path / name, content)
    clock.advance(1)

    assert watcher.current().certificate_chain == pair.certificate
    assert watcher.current().generation == 1


def test_an_expired_certificate_does_not_replace_one_that_serves(tmp_path: Path) -> None:
    clock, pair = FakeClock(), _pair()
    watcher = TLSFilesWatcher(write(tmp_path, pair, CA.pem), clock)
    write(tmp_path, _pair(end_hours=-0.1), CA.pem)
    clock.advance(1)

    assert watcher.current().certificate_chain == pair.certificate


def test_a_certificate_that_expires_meanwhile_serves_on_until_another_comes(tmp_path: Path) -> None:
    clock, pair = FakeClock(), _pair(end_hours=1)
    watcher = TLSFilesWatcher(write(tmp_path, pair, CA.pem), clock)
    clock.advance(7200)

    assert watcher.current().certificate_chain == pair.certificate


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("tls.pem", b"not PEM", "holds no PEM certificate"),
        ("ca.pem", b"", "holds no PEM certificate"),
        ("tls.key", b"not PEM", "is not a PEM private key without password"),
        ("tls.key", UNKNOWN_ALGORITHM, "is not a PEM private key without password"),
        ("tls.key", _encrypted_key(), "is not a PEM private key without password"),
        ("tls.key", _pair().key, "does not belong to"),
        ("tls.pem", _pair(end_hours=-1).certificate, "the certificate has expired"),
    ],
)
def test_a_process_does_not_start_with_unusable_files(
    tmp_path: Path, name: str, content: bytes, problem: str
) -> None:
    files = write(tmp_path, _pair(), CA.pem)
    replace(tmp_path / name, content)

    with pytest.raises(TLSFilesError, match=problem) as refused:
        TLSFilesWatcher(files, FakeClock())

    assert str(tmp_path / name) in str(refused.value)


def test_a_process_does_not_start_without_a_file(tmp_path: Path) -> None:
    files = write(tmp_path, _pair(), CA.pem)
    files.key.unlink()

    with pytest.raises(TLSFilesError, match="No such file"):
        TLSFilesWatcher(files, FakeClock())


def test_neither_an_error_nor_the_material_shows_the_key(tmp_path: Path) -> None:
    pair, other = _pair(), _pair()
    files = write(tmp_path, pair, CA.pem)
    shown = repr(TLSFilesWatcher(files, FakeClock()).current())
    replace(files.key, other.key)

    with pytest.raises(TLSFilesError) as refused:
        TLSFilesWatcher(files, FakeClock())

    assert shown == "TLSMaterial(generation=1)"
    assert "PRIVATE" not in str(refused.value)


def test_a_problem_that_stays_is_told_once_and_a_new_one_again(tmp_path: Path) -> None:
    clock = FakeClock()
    watcher = TLSFilesWatcher(write(tmp_path, _pair(), CA.pem), clock)
    replace(watcher.files.key, b"not PEM")
    with capture_logs() as logs:
        for _ in range(3):
            clock.advance(1)
            watcher.current()
        replace(watcher.files.key, _pair().key)
        clock.advance(1)
        watcher.current()

    assert [log["event"] for log in logs] == ["certificate_reload_refused"] * 2


def test_the_life_that_a_certificate_has_left_follows_the_clock(tmp_path: Path) -> None:
    clock = FakeClock()
    watcher = TLSFilesWatcher(write(tmp_path, _pair(end_hours=2), CA.pem), clock)

    clock.advance(3 * 3600)

    assert watcher.seconds_left() == -3600
