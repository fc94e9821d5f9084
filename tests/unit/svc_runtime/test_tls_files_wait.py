from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from svc_runtime.tls_files import TLSFiles, TLSFilesError
from svc_runtime.tls_files_wait import awaited_tls_files
from tests.certs import Authority, write
from tests.fakes.fake_clock import START, FakeClock

CA = Authority()


def _files(folder: Path) -> TLSFiles:
    return TLSFiles(folder / "tls.pem", folder / "tls.key", folder / "ca.pem")


async def test_files_that_come_late_are_waited_for_and_that_is_told_once(tmp_path: Path) -> None:
    clock, pair = FakeClock(), CA.issue(dns=["localhost"], end=START.replace(year=2030))
    looks = 0

    async def sleep(seconds: float) -> None:
        nonlocal looks
        clock.advance(seconds)
        looks += 1
        if looks == 1:
            (tmp_path / "tls.pem").write_bytes(b"half of a cert")
        if looks == 3:
            write(tmp_path, pair, CA.pem)

    with capture_logs() as logs:
        watcher = await awaited_tls_files(_files(tmp_path), clock, 60, sleep)

    assert watcher.current().certificate_chain == pair.certificate
    assert [(line["event"], line["path"]) for line in logs] == [
        ("certificate_awaited", str(tmp_path / "tls.pem"))
    ]


async def test_the_wait_for_files_ends_with_what_is_wrong(tmp_path: Path) -> None:
    clock = FakeClock()

    async def sleep(seconds: float) -> None:
        clock.advance(seconds)

    with pytest.raises(TLSFilesError, match="No such file"):
        await awaited_tls_files(_files(tmp_path), clock, 5, sleep)

    assert clock.monotonic() == 5


async def test_without_a_wait_missing_files_are_told_at_once(tmp_path: Path) -> None:
    with capture_logs() as logs, pytest.raises(TLSFilesError, match="No such file"):
        await awaited_tls_files(_files(tmp_path), FakeClock(), 0)

    assert logs == []
