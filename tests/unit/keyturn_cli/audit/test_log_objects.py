from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from keyturn_cli.audit.line_reader import MAX_LINE_BYTES
from keyturn_cli.audit.log_files import LogKind
from keyturn_cli.audit.log_objects import LogObjects
from keyturn_cli.audit.log_search import LogSearch

LINES = b'{"n": 1}\n\nnot json\n[2]\n{"n": 3}'


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "audit.log"
    path.write_bytes(LINES)
    return path


def _read(*paths: Path, kind: LogKind = LogKind.VAULT) -> list[dict[str, int] | None]:
    is_vault = kind is LogKind.VAULT
    return list(
        LogObjects(LogSearch(paths if is_vault else (), () if is_vault else paths)).read(kind)
    )


def test_objects_are_read_and_bad_lines_are_none(log: Path) -> None:
    assert _read(log) == [{"n": 1}, None, None, {"n": 3}]


def test_a_compressed_log_reads_the_same(log: Path) -> None:
    log.write_bytes(gzip.compress(LINES))

    assert _read(log) == [{"n": 1}, None, None, {"n": 3}]


def test_a_folder_of_rotated_logs_is_read(log: Path) -> None:
    log.with_name("audit.log.1.gz").write_bytes(gzip.compress(b'{"n": 0}\n'))

    read = _read(log.parent)

    assert {"n": 0} in read
    assert {"n": 3} in read


def test_a_line_that_is_too_long_is_one_bad_line(log: Path) -> None:
    log.write_bytes(b"x" * (3 * MAX_LINE_BYTES + 5) + b'\n{"n": 1}\n')

    assert _read(log) == [None, {"n": 1}]


def test_the_prefix_of_an_audit_device_is_skipped_in_its_log_only(log: Path) -> None:
    log.write_bytes(b'@cee: {"n": 1}\n')

    assert _read(log) == [{"n": 1}]
    assert _read(log, kind=LogKind.SERVICE) == [None]


def test_a_damaged_log_is_named_and_what_stands_before_is_read(log: Path) -> None:
    log.write_bytes(gzip.compress(b'{"n": 1}\n' * 100)[:-9])
    logs = LogObjects(LogSearch([log], []))

    assert {"n": 1} in list(logs.read(LogKind.VAULT))
    (unread,) = logs.unread()
    assert unread.name == str(log)


def test_a_log_that_is_packed_otherwise_is_named(log: Path) -> None:
    log.write_bytes(b"BZh91AY&SY")
    logs = LogObjects(LogSearch([log], []))

    assert list(logs.read(LogKind.VAULT)) == []
    assert "bzip2" in logs.unread()[0].reason
