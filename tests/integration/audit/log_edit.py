"""Alters the lines of a day's audit log, as somebody would who can write the file."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.integration.audit.day import Day

Entry = dict[str, Any]

RECORDS = "keyturn-kv/data/users/"
CONTROLS = "keyturn-kv/data/operator/controls"
DECRYPT = "keyturn-transit/decrypt/openai"
WRAP = "sys/wrapping/wrap"
UNWRAP = "sys/wrapping/unwrap"
LOOKUP = "sys/wrapping/lookup"


class LogEdit:
    """The entries of a day's audit log; one app's call in its midst is the victim.

    Attributes:
        entries: In the order of the log.
        lease: Of the victim.
    """

    def __init__(self, day: Day) -> None:
        self.entries: list[Entry] = [json.loads(line) for line in day.vault]
        leases = [header(e, "lease") for e in self.of(DECRYPT) if is_of_an_app(e)]
        wrapped = {header(e, "lease") for e in self.of(WRAP)}
        plain = [lease for lease in leases if lease not in wrapped]
        self.lease = plain[len(plain) // 2]
        self.wrapped_lease = next(lease for lease in leases if lease in wrapped)

    def lines(self) -> list[bytes]:
        """Return the altered log."""
        return [json.dumps(entry, separators=(",", ":")).encode() for entry in self.entries]

    def of(self, path: str, lease: str | None = None) -> list[Entry]:
        """Return the entries of paths that begin with *path*, of one lease if one is given."""
        return [
            e
            for e in self.entries
            if e["request"]["path"].startswith(path)
            and (lease is None or header(e, "lease") == lease)
        ]

    def of_lease(self) -> list[Entry]:
        """Return all entries of the victim."""
        return self.of("", self.lease)

    def remove(self, entries: Iterable[Entry]) -> None:
        """Remove entries."""
        gone = {id(entry) for entry in entries}
        self.entries = [e for e in self.entries if id(e) not in gone]

    def repeat(self, entries: Iterable[Entry], seconds: float) -> list[Entry]:
        """Put the same operations in once more, *seconds* later; return them."""
        copies = []
        for entry in entries:
            again = copy.deepcopy(entry)
            again["request"]["id"] = "f" + again["request"]["id"][1:]
            copies.append(again)
        self.entries += copies
        self.move(copies, seconds)
        return copies

    def move(self, entries: Iterable[Entry], seconds: float) -> None:
        """Make entries older or younger, each at its place in time."""
        for entry in entries:
            time = datetime.fromisoformat(entry["time"]) + timedelta(seconds=seconds)
            entry["time"] = time.astimezone(UTC).isoformat().replace("+00:00", "Z")
        self.entries.sort(key=lambda e: datetime.fromisoformat(e["time"]))

    def relabel(self, entries: Iterable[Entry], name: str, value: str | None) -> None:
        """Let an audited header say *value*, or nothing."""
        for entry in entries:
            headers = entry["request"].setdefault("headers", {})
            if value is None:
                headers.pop(f"x-keyturn-{name}", None)
            else:
                headers[f"x-keyturn-{name}"] = [value]

    def done_by(self, entries: Iterable[Entry], role: str, *policies: str) -> None:
        """Let a token of *policies* have done it, of a login's *role* if that is not empty."""
        for entry in entries:
            auth = entry["auth"]
            auth["display_name"] = "keyturn-approle" if role else "token"
            auth["policies"] = list(policies)
            auth["metadata"] = {"role_name": role} if role else {}


Edit = Callable[[LogEdit], object]


def header(entry: Entry, name: str) -> str:
    """Return an audited header of an entry, empty for none."""
    values = (entry["request"].get("headers") or {}).get(f"x-keyturn-{name}")
    return str(values[0]) if values else ""


def is_of_an_app(entry: Entry) -> bool:
    """Return whether an entry belongs to an app's call, rather than to a verification."""
    return "/app/" in header(entry, "app")


def requests(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Return the requests of *entries*."""
    return (entry for entry in entries if entry["type"] == "request")


def answers(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Return the answers of *entries*."""
    return (entry for entry in entries if entry["type"] == "response")
