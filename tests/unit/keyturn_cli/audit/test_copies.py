from __future__ import annotations

from dataclasses import replace

from keyturn_cli.audit.copies import WINDOW_US, CopyFilter
from keyturn_cli.audit.entries import Place, VaultEntry, parse_vault_line
from tests.unit.keyturn_cli.audit.made_logs import vault_line


def _entry(millisecond: int = 0, operation: str = "one") -> VaultEntry:
    entry = parse_vault_line(vault_line(millisecond, operation), Place("audit.log", 1))
    assert entry is not None
    return entry


def test_what_another_log_had_already_is_a_copy() -> None:
    copies = CopyFilter()

    assert not copies.is_copy(_entry(), 0)
    assert copies.is_copy(replace(_entry(1), accessor="hashed with another salt"), 1)
    assert copies.is_copy(_entry(2), 2)


def test_what_one_log_says_twice_is_no_copy() -> None:
    copies = CopyFilter()

    assert not copies.is_copy(_entry(), 0)
    assert not copies.is_copy(_entry(), 0)


def test_what_another_log_says_differently_is_no_copy() -> None:
    copies = CopyFilter()

    assert not copies.is_copy(_entry(), 0)
    assert not copies.is_copy(replace(_entry(), lease="another"), 1)
    assert not copies.is_copy(replace(_entry(), is_answer=True), 1)


def test_an_entry_without_an_operation_is_no_copy() -> None:
    copies = CopyFilter()
    entry = replace(_entry(), operation_id="")

    assert not copies.is_copy(entry, 0)
    assert not copies.is_copy(entry, 1)


def test_memory_is_of_the_last_seconds_only() -> None:
    copies = CopyFilter()
    step = WINDOW_US // 1000 // 100
    for number in range(1000):
        copies.is_copy(_entry(number * step, f"op-{number}"), 0)

    assert copies.is_copy(_entry(999 * step, "op-999"), 1)
    assert not copies.is_copy(_entry(999 * step, "op-0"), 1)
    assert len(copies.state({0: "a", 1: "b"})["seen"]) <= 202


def test_memory_survives_a_checkpoint_with_other_numbers_of_logs() -> None:
    copies = CopyFilter()
    copies.is_copy(_entry(), 0)
    later = CopyFilter()

    later.restore(copies.state({0: "first", 1: "second"}), {"second": 0, "first": 1})

    assert not later.is_copy(_entry(1), 1)
    assert later.is_copy(_entry(1), 0)
