"""Gateways' and key services' records are held against Vault's log for the times they cover."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import timedelta
from operator import attrgetter

import pytest

from keyturn_cli.audit.entries import (
    Place,
    ServiceRecord,
    VaultEntry,
    parse_service_line,
    parse_vault_line,
)
from keyturn_cli.audit.findings import Finding
from keyturn_cli.audit.options import VerifyOptions
from keyturn_cli.audit.verifier import Verifier
from tests.unit.keyturn_cli.audit.vault_lines import APP, KEY, REQUEST_ID, Log, codes

_MINUTE = 60.0


@dataclass
class _Logs:
    """Vault's log and both services', of calls of one app.

    Attributes:
        apart: By how many seconds the services' clocks are ahead of Vault's.
    """

    apart: float = 0.0
    vault: Log = field(default_factory=Log)
    records: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.vault.begin()
        for service in ("gateway-svc", "keyvault-svc"):
            self.record(service, event="audit_stream_opened")
        self.vault.wait(10)

    def record(self, service: str, after: float = 0, **fields: object) -> None:
        """Add a record of a service, *after* so many seconds."""
        time = self.vault.now + timedelta(seconds=self.apart + after)
        record = {
            "time": time.isoformat(timespec="microseconds"),
            "service": service,
            "chain": f"{service}-0",
            "request_id": REQUEST_ID,
            **fields,
        }
        self.records.append(json.dumps(record).encode())

    def note(self, lease: str, event: str = "key_opening") -> None:
        """Let the gateway say that it is about to open a key."""
        self.record("gateway-svc", event=event, lease=lease, app=APP, key=KEY)

    def call(self, seconds: float = 0.1, *, is_noted: bool = True, is_recorded: bool = True) -> str:
        """Add a call; return its lease."""
        lease = self.vault.lease()
        self.vault.read(lease)
        self.vault.look(lease)
        method = "/keyturn.keyvault.v1.KeyLeaseService/AcquireLease"
        self.record("keyvault-svc", event="rpc", method=method, lease=lease, app=APP, key=KEY)
        if is_noted:
            self.note(lease)
        self.vault.open(lease)
        if is_recorded:
            end = {"event": "http", "http_status": 200, "lease": lease, "app": APP, "key": KEY}
            self.record("gateway-svc", seconds, **end)
        return lease

    def renew(self, minutes: int) -> None:
        """Let the services go on without calls."""
        for _ in range(minutes):
            self.vault.wait(_MINUTE)
            for service in ("gateway-svc", "keyvault-svc"):
                self.record(service, event="vault_token_renewed")

    def end(self) -> None:
        """End both services."""
        for service in ("gateway-svc", "keyvault-svc"):
            self.record(service, event="audit_stream_closed")

    def feed(self, verifier: Verifier) -> list[Finding]:
        """Return what *verifier* finds before the end of the logs."""
        items: list[VaultEntry | ServiceRecord | None] = []
        for number, (name, line) in enumerate(self.vault.lines, 1):
            items.append(parse_vault_line(line, Place(name, number)))
        for number, line in enumerate(self.records, 1):
            items.append(parse_service_line(line, Place("services.log", number)))
        findings: list[Finding] = []
        for item in sorted(filter(None, items), key=attrgetter("time_us")):
            if isinstance(item, VaultEntry):
                findings += verifier.see_vault(item)
            elif isinstance(item, ServiceRecord):
                findings += verifier.see_service(item)
        return findings

    def judge(self) -> list[Finding]:
        """Return what is found, but for the streams' own chains, which these logs do not have."""
        verifier = Verifier(VerifyOptions())
        findings = [*self.feed(verifier), *verifier.finish()]
        return [f for f in findings if not f.code.startswith(("CHAIN", "SIGNATURE"))]


@pytest.mark.parametrize("apart", [-1.5, -0.01, 0.0, 0.01, 1.5])
@pytest.mark.parametrize("seconds", [0.0, 1.0, 50 * _MINUTE])
def test_calls_of_any_length_have_no_finding_though_clocks_differ(
    apart: float, seconds: float
) -> None:
    logs = _Logs(apart)
    for _ in range(3):
        logs.call(seconds)
        logs.vault.wait(5)
    logs.renew(60)
    logs.end()

    assert logs.judge() == []


def test_a_call_that_no_gateway_made_is_found_long_before_the_end() -> None:
    logs = _Logs()
    logs.call()
    logs.call(is_noted=False, is_recorded=False)
    logs.renew(30)
    logs.call(50 * _MINUTE, is_recorded=False)

    assert "CALL_NOT_RECORDED" in codes(logs.feed(Verifier(VerifyOptions())))
    assert codes(logs.judge()) == ["CALL_NOT_RECORDED", "CALL_OPEN_AT_END"]


def test_services_logs_that_end_earlier_say_nothing_of_what_came_after() -> None:
    logs = _Logs()
    logs.call()
    logs.end()
    recorded = len(logs.records)
    for _ in range(200):
        logs.vault.wait(_MINUTE)
        logs.call()
    del logs.records[recorded:]

    assert logs.judge() == []


def test_services_logs_that_begin_later_say_nothing_of_what_was_before() -> None:
    logs = _Logs()
    logs.call()
    logs.vault.wait(5)
    logs.records.clear()
    logs.record("gateway-svc", event="vault_token_renewed")
    logs.record("keyvault-svc", event="vault_token_renewed")
    logs.vault.wait(5)
    logs.call()
    logs.end()

    assert logs.judge() == []


def test_what_is_kept_of_calls_does_not_grow() -> None:
    sizes = []
    for count in (20, 200):
        logs, verifier = _Logs(), Verifier(VerifyOptions())
        for _ in range(count):
            logs.call()
            logs.vault.wait(_MINUTE)
        logs.feed(verifier)
        state = verifier.state()["rules"]
        sizes.append(len(json.dumps([state["calls"], state["key_service_calls"]])))

    assert sizes[1] < 1.2 * sizes[0]


def test_a_call_that_openai_refused_has_a_record_without_its_lease() -> None:
    logs = _Logs()
    for _ in range(2):  # under one request id, which an app may choose
        logs.call(is_recorded=False)
        failed = {"event": "http", "http_status": 400, "app": APP, "key": KEY}
        logs.record("gateway-svc", 0.1, **failed)
    logs.call()
    logs.renew(2)
    logs.end()

    assert logs.judge() == []


def test_a_gateway_that_reached_openai_without_vault_is_found() -> None:
    logs = _Logs()
    logs.call()
    end = {"event": "rpc", "http_status": 200, "lease": logs.vault.lease()}
    logs.record("gateway-svc", 0.1, **end)
    logs.renew(2)

    assert codes(logs.judge()) == ["CALL_WITHOUT_DECRYPT"]
