from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from keyvault_svc.domain.lease import Lease
from keyvault_svc.domain.ports import AuditTags
from keyvault_svc.log_events import EVENTS
from keyvault_svc.release_log import AuditedReleaseLog
from svc_runtime.audit_stream.errors import AuditUnavailableError
from svc_runtime.audit_stream.line_writer import LineWriter
from svc_runtime.audit_stream.outputs import DescriptorOutput
from svc_runtime.audit_stream.stream import AuditStream
from tests.fakes.fake_clock import START
from tests.unit.keyvault_svc.samples import KEY
from tests.unit.svc_runtime.audit_stream.chain_lines import chained_in
from tests.unit.svc_runtime.audit_stream.log_stage import logs_to

LEASE = Lease(
    "0199f3a1c2d47c3e9a5b1d2e3f405162", KEY, 3, "f223a56ed06959bd", START, "vault:v1:canary", None
)
TAGS = AuditTags("request-1", str(KEY), LEASE.lease_id, "spiffe://keyturn.test/app/demo")


async def _recorded(file: Path, lease: Lease) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT)
    writer = LineWriter(DescriptorOutput(descriptor))
    stream = AuditStream("keyvault-svc", writer, writer)
    try:
        with logs_to(stream, EVENTS):
            await AuditedReleaseLog(stream).record(lease, TAGS)
    finally:
        stream.close()
        os.close(descriptor)


async def test_a_release_is_a_line_of_the_chain(tmp_path: Path) -> None:
    await _recorded(tmp_path / "log", LEASE)

    [line] = chained_in(tmp_path / "log")
    said = {name: line[name] for name in ("event", "request_id", "lease", "key", "key_version")}
    assert said == {
        "event": "lease_release",
        "request_id": "request-1",
        "lease": LEASE.lease_id,
        "key": str(KEY),
        "key_version": 3,
    }
    assert (line["grant"], line["app"]) == (f"{KEY}/grants/f223a56ed06959bd", TAGS.app)


async def test_a_lease_to_verify_a_key_has_no_grant(tmp_path: Path) -> None:
    await _recorded(tmp_path / "log", replace(LEASE, grant_id=""))

    [line] = chained_in(tmp_path / "log")
    assert line["grant"] == ""


async def test_a_line_holds_nothing_of_the_sealed_key(tmp_path: Path) -> None:
    await _recorded(tmp_path / "log", LEASE)

    assert b"canary" not in (tmp_path / "log").read_bytes()


async def test_a_release_that_cannot_be_written_is_an_outage() -> None:
    with pytest.raises(AuditUnavailableError):
        await _recorded(Path("/dev/full"), LEASE)
