from __future__ import annotations

from pathlib import Path

import pytest

from keyturn_cli.audit.log_files import LogKind, series_of
from keyturn_cli.audit.log_search import LogSearch
from tests.unit.keyturn_cli.audit.made_logs import append, compress, log_at, write_log


def test_a_folder_gives_its_logs_in_the_order_of_time(tmp_path: Path) -> None:
    write_log(tmp_path / "audit.log", [300])
    write_log(tmp_path / "audit.log.1", [200])
    compress(write_log(tmp_path / "audit.log.2", [100]))
    (tmp_path / "audit.log.3").touch()
    (tmp_path / ".hidden").write_bytes(b"{}\n")

    logs = LogSearch([tmp_path], []).find()

    assert [Path(log.name).name for log in logs] == ["audit.log.2.gz", "audit.log.1", "audit.log"]
    assert [log.is_plain for log in logs] == [False, True, True]


def test_a_log_that_is_given_twice_counts_once(tmp_path: Path) -> None:
    path = write_log(tmp_path / "audit.log", [100, 200])
    packed = tmp_path / "packed"
    packed.mkdir()
    compress(write_log(packed / "audit.log", [100, 200]))

    logs = LogSearch([packed, tmp_path, path], []).find()

    assert [log.path for log in logs] == [path]


def test_of_two_parts_of_a_log_the_longer_one_counts(tmp_path: Path) -> None:
    write_log(tmp_path / "a.log", [100])
    longer = write_log(tmp_path / "b.log", [100, 200])

    assert [log.path for log in LogSearch([tmp_path], []).find()] == [longer]


def test_a_longer_packed_log_counts_beside_its_plain_beginning(tmp_path: Path) -> None:
    write_log(tmp_path / "audit.log", [100])
    longer = compress(write_log(tmp_path / "audit.log.1", range(100, 2000)))
    search = LogSearch([tmp_path], [])

    assert [log.path for log in search.find()] == [longer]
    assert search.unread == {}


def test_two_logs_that_begin_alike_and_go_on_otherwise_are_not_both_read(tmp_path: Path) -> None:
    first = write_log(tmp_path / "a.log", [100, 200])
    second = write_log(tmp_path / "b.log", [100, 300, 400])
    search = LogSearch([first, second], [])

    for _ in range(2):
        assert [log.path for log in search.find()] == [first]
        assert search.unread[str(second)].reason == (
            f"it begins as {first} does, and goes on otherwise"
        )


def test_a_copy_that_is_still_being_packed_is_no_other_log(tmp_path: Path) -> None:
    path = write_log(tmp_path / "audit.log", range(100, 5000))
    packed = compress(write_log(tmp_path / "audit.log.1", range(100, 5000)))
    packed.write_bytes(packed.read_bytes()[:-1000])
    search = LogSearch([tmp_path], [])

    for _ in range(2):
        assert [log.path for log in search.find()] == [path]
        append(path, [5000])
    assert search.unread == {}


def test_an_identity_survives_growth_renaming_and_compression(tmp_path: Path) -> None:
    path = write_log(tmp_path / "audit.log", [100])
    identity = log_at(path).identity

    append(path, [200])
    moved = compress(path.rename(tmp_path / "audit.log.1"))

    assert log_at(moved).identity == identity


def test_a_rotated_log_is_found_again(tmp_path: Path) -> None:
    path = write_log(tmp_path / "audit.log", [100])
    search = LogSearch([path], [])
    (log,) = search.find()

    moved = compress(path.rename(tmp_path / "audit.log-20260203"))
    write_log(path, [200])

    found = search.find_moved(log.series, log.key)
    assert found is not None
    assert found.path == moved
    assert search.find_moved(log.series, (LogKind.SERVICE, log.identity)) is None


def test_what_cannot_be_read_is_told_until_it_can(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    search = LogSearch([path], [])
    assert search.find() == []
    assert search.unread[str(path)].reason == "No such file or directory"

    write_log(path, [100])

    assert len(search.find()) == 1
    assert not search.unread


@pytest.mark.parametrize(
    "name",
    [
        "audit.log",
        "audit.log.1",
        "audit.log.12.gz",
        "audit.log-20260203",
        "audit-2026-02-03.log.gz",
    ],
)
def test_parts_of_a_rotated_log_are_of_one_series(name: str) -> None:
    assert series_of(Path("/logs") / name) == "/logs/audit.log"


@pytest.mark.parametrize("name", ["node1.log", "audit2.log", "gateway-svc.log"])
def test_names_with_other_numbers_are_series_of_their_own(name: str) -> None:
    assert series_of(Path("/logs") / name) == f"/logs/{name}"
