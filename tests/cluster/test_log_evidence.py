"""The audit logs of three nodes, of which two led in turn, prove together what one log proves."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime

from keyturn_cli.audit.finding_kind import Severity
from keyturn_cli.audit.finding_summary import FindingSummary
from keyturn_cli.audit.findings import Finding
from keyturn_cli.audit.log_intake import LogIntake
from keyturn_cli.audit.log_search import LogSearch
from keyturn_cli.audit.options import SECOND_US, VerifyOptions, Window
from keyturn_cli.audit.signing_keys import read_signing_keys
from keyturn_cli.audit.stop_signal import StopSignal
from keyturn_cli.audit.verification import Reporting, Verification
from keyturn_cli.audit.verifier import Verifier
from svc_runtime.clock import SystemClock
from tests.cluster.calling import REPLICAS, Caller, calling
from tests.cluster.faults import FAULTS
from tests.cluster.raft_cluster import NODES
from tests.cluster.scene import Scene
from tests.e2e.breaking import SERVED


async def test_logs_of_a_cluster_whose_leader_fails_show_nothing_wrong(scene: Scene) -> None:
    windows = [Window(0, _now_us())]  # root furnished the scene
    first = scene.cluster.leader()
    async with calling(scene.clients) as caller:
        await _until_all_are_served(scene, caller)
        with FAULTS["leader killed"].strike(scene.cluster):
            await _until_all_are_served(scene, caller)
            second = scene.cluster.leader()
        scene.cluster.wait_until_whole()
        last = second
        while last == second:  # what comes after the end of all logs is not judged
            begin_us = _now_us()
            await asyncio.to_thread(scene.cluster.hand_over)
            windows.append(Window(begin_us, _now_us()))
            await _until_all_are_served(scene, caller)
            last = scene.cluster.leader()
    services = scene.clients.stack.services
    for name, service in services.items():
        if "svc" in name:
            service.stop()

    findings = _verify(scene, windows)

    assert second != first
    assert [finding for finding in findings if finding.kind.severity is Severity.FINDING] == []
    without_second = _verify(scene, windows, [node for node in NODES if node != second])
    assert "CALL_WITHOUT_DECRYPT" in {finding.code for finding in without_second}


async def _until_all_are_served(scene: Scene, caller: Caller) -> None:
    """Ask with every key at every gateway until all are served at once."""
    async with asyncio.timeout(45):
        while True:
            heard = await asyncio.gather(
                *(caller.ask(key.name, replica) for key in scene.keys for replica in REPLICAS)
            )
            if {one.verdict for one in heard} == {SERVED}:
                return


def _verify(scene: Scene, windows: Sequence[Window], nodes: Sequence[str] = NODES) -> list[Finding]:
    stack, clock = scene.clients.stack, SystemClock()
    search = LogSearch(
        [scene.cluster.audit_log_of(node) for node in nodes],
        [service.log_file for name, service in stack.services.items() if "svc" in name],
    )
    options = VerifyOptions(
        windows=tuple(windows),
        signing_keys=read_signing_keys(stack.layout.signing_keys_file),
    )
    findings: list[Finding] = []
    with closing(LogIntake(search, clock)) as intake:
        intake.start()
        reporting = Reporting(findings.append, lambda: None)
        verification = Verification(intake, Verifier(options), FindingSummary(20), reporting, clock)
        assert verification.run(StopSignal())
        verification.finish()
        assert intake.unread() == []
    return findings


def _now_us() -> int:
    return int(datetime.now(UTC).timestamp() * SECOND_US)
