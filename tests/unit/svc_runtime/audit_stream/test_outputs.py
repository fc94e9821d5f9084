"""A file of evidence has one writer, and holds whole lines whatever the disk does."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from svc_runtime.audit_stream.outputs import SyncedFile
from svc_runtime.audit_stream.settings import AuditStreamSettings
from svc_runtime.audit_stream.stream import open_audit_stream
from svc_runtime.settings_models import SettingsError


def test_two_processes_do_not_write_to_one_file(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    first = SyncedFile(tmp_path / "audit")
    settings = AuditStreamSettings(file=tmp_path / "audit")

    with capfd.disabled(), pytest.raises(SettingsError, match="another process writes to it"):
        open_audit_stream("test-svc", settings)
    first.close()

    SyncedFile(tmp_path / "audit").close()


def test_a_file_that_another_process_writes_to_is_not_gone_over_to(tmp_path: Path) -> None:
    file = SyncedFile(tmp_path / "audit")
    (tmp_path / "audit").rename(tmp_path / "audit.1")
    other = SyncedFile(tmp_path / "audit")

    with pytest.raises(OSError, match="another process") as failure:
        file.write(b"a\n")
    other.close()

    assert failure.value.errno == errno.EBUSY
    assert file.write(b"a\n") == 2
    assert (tmp_path / "audit").read_bytes() == b"a\n"
    file.close()


def test_what_a_failing_disk_kept_of_a_line_is_ended_before_the_line_is_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = SyncedFile(tmp_path / "audit")
    file.write(b"first\n")
    write = os.write

    def write_half(descriptor: int, data: bytes) -> int:
        write(descriptor, data[:3])
        raise OSError(errno.EIO, "the disk did not take it all")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write_half)
        with pytest.raises(OSError, match="did not take"):
            file.write(b"second\n")
    file.write(b"second\n")
    file.close()

    assert (tmp_path / "audit").read_bytes() == b"first\nsec\nsecond\n"
