from __future__ import annotations

from contextlib import closing
from pathlib import Path

from keyturn_cli.audit.entries import ServiceRecord, VaultEntry
from keyturn_cli.audit.log_intake import LogIntake
from keyturn_cli.audit.log_search import LogSearch
from keyturn_cli.audit.log_walk import LogWalk
from tests.fakes.fake_clock import FakeClock
from tests.unit.keyturn_cli.audit.made_logs import compress, service_line, text_of, vault_line


def _walk(vault: list[Path], services: list[Path]) -> tuple[LogWalk, list[str]]:
    """Return the walk, and the lines by their kind and place."""
    told: list[str] = []

    def see_vault(entry: VaultEntry) -> None:
        told.append(f"vault {Path(entry.place.log).name}:{entry.place.line}")

    def see_service(record: ServiceRecord) -> None:
        told.append(f"service {Path(record.place.log).name}:{record.place.line}")

    intake = LogIntake(LogSearch(vault, services), FakeClock())
    intake.start()
    with closing(intake):
        walk = LogWalk(intake)
        walk.feed(see_vault, see_service)
    return walk, told


def test_lines_of_all_logs_come_in_the_order_of_time(tmp_path: Path) -> None:
    old, new, service = (tmp_path / name for name in ("a.log.1", "a.log", "s.log"))
    old.write_bytes(text_of([vault_line(1), vault_line(3)]))
    new.write_bytes(text_of([vault_line(5)]))
    service.write_bytes(text_of([service_line(2), service_line(4)]))

    _, told = _walk([new, compress(old)], [service])

    assert told == [
        *("vault a.log.1.gz:1", "service s.log:1", "vault a.log.1.gz:2"),
        *("service s.log:2", "vault a.log:1"),
    ]


def test_a_last_line_without_an_end_is_read(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    log.write_bytes(text_of([vault_line(1)]) + vault_line(2))

    assert len(_walk([log], [])[1]) == 2


def test_what_two_devices_wrote_comes_once(tmp_path: Path) -> None:
    log, other = tmp_path / "audit.log", tmp_path / "other.log"
    log.write_bytes(text_of([vault_line(1), vault_line(2)]))
    other.write_bytes(b"\n" + log.read_bytes())

    assert len(_walk([log, other], [])[1]) == 2


def test_lines_that_cannot_be_read_are_counted(tmp_path: Path) -> None:
    log, service = tmp_path / "audit.log", tmp_path / "service.log"
    log.write_bytes(text_of([vault_line(1), b"no entry", vault_line(2)]))
    service.write_bytes(text_of([b"a library speaks", service_line(2), b"[]"]))

    walk, told = _walk([log], [service])

    assert len(told) == 3
    assert (walk.bad_vault_line_count, walk.bad_service_line_count) == (1, 2)
