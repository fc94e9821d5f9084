"""The services' audit streams: what was done to one is found by the command."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from keyturn_cli.local.service_settings import Variant
from keyturn_cli.local.stack import LocalStack
from keyturn_cli.local.upstream import Upstream
from svc_runtime.audit_stream.chain import CHECKPOINT, CLOSING, NO_LINE, Chain, Head, digest_of
from svc_runtime.secret_bytes import SecretBytes
from tests.e2e.asking import SERVED, ask_often, ask_over_http
from tests.e2e.clients import Clients
from tests.e2e.stack_process import keyturn

CALLS = 5
# Of the rule that judges chains; a stack's own set-up is found by others.
OURS = ("CHAIN_", "CHECKPOINT_", "LINE_UNCHAINED", "SIGNATURE")

Tamper = Callable[[list[bytes]], list[bytes]]


@dataclass(frozen=True)
class Evidence:
    """What a stack has left behind: all logs, and the keys that check them."""

    vault_log: Path
    gateway_log: Path
    key_service_log: Path
    env_file: Path

    def codes(self, *more: str | Path, gateway_log: Path | None = None) -> set[str]:
        """Return what `keyturn audit verify` finds in the chains."""
        outcome = keyturn(
            *("audit", "verify", self.vault_log, "--jsonl"),
            *("--service-log", gateway_log or self.gateway_log),
            *("--service-log", self.key_service_log, *more),
            env_file=self.env_file,
        )
        found = [json.loads(line) for line in outcome.stdout.splitlines()]
        codes = {str(each.get("code")) for each in found}
        return {code for code in codes if code.startswith(OURS)}


@pytest.fixture(scope="module")
def evidence(
    tmp_path_factory: pytest.TempPathFactory, canary_key: SecretBytes, transcript: list[str]
) -> Evidence:
    """The logs of a stack that has served some calls and has ended."""
    home = tmp_path_factory.mktemp("audited") / "home"
    folder = tmp_path_factory.mktemp("audit-files")
    stack = LocalStack(home, Upstream(None, canary_key, "standin"))
    stack.variant = Variant(audit_folder=folder)
    with stack:
        clients = Clients(stack, transcript)
        outcomes = asyncio.run(ask_often(clients, stack.key_name, CALLS))
        assert outcomes == [SERVED] * CALLS
        return Evidence(
            Path(clients.env["KEYTURN_VAULT_AUDIT_LOG"]),
            folder / f"{stack.ports['gateway-health']}.jsonl",
            folder / f"{stack.ports['keyvault-health']}.jsonl",
            stack.layout.client_env,
        )


def _events(log: Path) -> list[str]:
    return [json.loads(line)["event"] for line in log.read_bytes().splitlines()]


def test_untouched_streams_give_no_finding(evidence: Evidence) -> None:
    assert evidence.codes() == set()


async def test_streams_on_standard_output_of_all_replicas_give_no_finding(
    clients: Clients, tmp_path: Path
) -> None:
    for replica in (1, 2):
        assert await ask_often(clients, clients.stack.key_name, 2, replica=replica) == [SERVED] * 2
    # Vault's log first: what it attests stands in logs that are copied later.
    vault_log = Path(shutil.copy(clients.env["KEYTURN_VAULT_AUDIT_LOG"], tmp_path / "vault.log"))
    shutil.copytree(clients.stack.layout.logs_dir, tmp_path / "logs")
    copied = [
        Evidence(vault_log, tmp_path / "logs" / gateway, tmp_path / "logs" / key_service, env_file)
        for gateway, key_service in (
            ("gateway-svc.log", "keyvault-svc.log"),
            ("gateway-svc-2.log", "keyvault-svc-2.log"),
        )
        for env_file in [clients.stack.layout.client_env]
    ]

    others = ("--service-log", copied[1].gateway_log, "--service-log", copied[1].key_service_log)
    assert copied[0].codes(*others) == set()
    chains = {chain for log in (tmp_path / "logs").glob("*-svc*.log") for chain in _chains(log)}
    assert len(chains) == 4


def _chains(log: Path) -> set[str]:
    lines = [json.loads(line) for line in log.read_bytes().splitlines()]
    return {line["chain"] for line in lines if "chain" in line}


def test_every_leased_and_opened_key_stands_in_the_streams(evidence: Evidence) -> None:
    released, opened = _events(evidence.key_service_log), _events(evidence.gateway_log)

    # One more is the verification of the key.
    assert released.count("lease_release") == opened.count("key_opening") == CALLS + 1


def test_a_stream_ends_with_a_signature(evidence: Evidence) -> None:
    for log in (evidence.gateway_log, evidence.key_service_log):
        assert _events(log)[-2:] == ["audit_stream_closed", CHECKPOINT]


def _without_a_line(lines: list[bytes]) -> list[bytes]:
    return [*lines[:4], *lines[5:]]


def _with_another_app(lines: list[bytes]) -> list[bytes]:
    place = next(n for n, line in enumerate(lines) if b'"key_opening"' in line and b"demo" in line)
    return [*lines[:place], lines[place].replace(b"demo", b"d3mo"), *lines[place + 1 :]]


def _swapped(lines: list[bytes]) -> list[bytes]:
    return [*lines[:4], lines[5], lines[4], *lines[6:]]


def _cut_off(lines: list[bytes]) -> list[bytes]:
    return lines[:-3]


def _removed_whole(lines: list[bytes]) -> list[bytes]:
    """Return a log that goes on from an hour before, and has no line of the chain."""
    time = datetime.fromisoformat(json.loads(lines[0])["time"]) - timedelta(hours=1)
    content = {"event": "vault_login", "service": "gateway-svc", "time": time.isoformat()}
    return [json.dumps(content).encode()]


def _chained_anew(lines: list[bytes], *, with_heads: bool) -> list[bytes]:
    """Return *lines*, of which one was altered, as somebody who cannot sign chains them."""
    before = NO_LINE
    digests: list[str] = []
    made: list[bytes] = []
    for line in _with_another_app(lines):
        content: dict[str, Any] = json.loads(line)
        content["prev"] = before
        if with_heads and content["event"] == CHECKPOINT:
            content["signed_head"] = digests[content["signed_seq"] - 1]
        made.append(json.dumps(content).encode())
        before = digest_of(made[-1])
        digests.append(before)
    return made


def _chained_anew_with_old_heads(lines: list[bytes]) -> list[bytes]:
    return _chained_anew(lines, with_heads=False)


def _chained_anew_with_new_heads(lines: list[bytes]) -> list[bytes]:
    return _chained_anew(lines, with_heads=True)


def _with_a_chain_of_its_own(lines: list[bytes]) -> list[bytes]:
    return [*lines, *_forged(lines, CLOSING)]


def _with_more_after_the_end(lines: list[bytes]) -> list[bytes]:
    chain = Chain("gateway-svc")
    last = json.loads(lines[-1])
    chain.head = Head(last["chain"], last["seq"], digest_of(lines[-1]))
    return [*lines, *_forged(lines, chain=chain)]


def _forged(lines: list[bytes], *more: str, chain: Chain | None = None) -> list[bytes]:
    chain = chain or Chain("gateway-svc")
    events = ("audit_stream_opened", *more)
    made = [chain.link(json.dumps(_content(lines[-1], event))) for event in events]
    return [line.rstrip(b"\n") for line in made]


def _content(line: bytes, event: str) -> dict[str, str]:
    return {"event": event, "service": "gateway-svc", "time": json.loads(line)["time"]}


@pytest.mark.parametrize(
    ("tamper", "expected"),
    [
        (_without_a_line, {"CHAIN_GAP"}),
        (_with_another_app, {"CHAIN_BROKEN"}),
        (_swapped, {"CHAIN_BROKEN"}),
        (_cut_off, {"CHAIN_TRUNCATED"}),
        (_removed_whole, {"CHAIN_TRUNCATED"}),
        (_chained_anew_with_old_heads, {"CHAIN_REWRITTEN"}),
        (_chained_anew_with_new_heads, {"CHECKPOINT_FORGED", "CHAIN_REWRITTEN"}),
        (_with_a_chain_of_its_own, {"CHAIN_UNSIGNED"}),
        (_with_more_after_the_end, {"CHAIN_UNSIGNED"}),
    ],
)
def test_what_was_done_to_a_stream_is_found(
    evidence: Evidence, tmp_path: Path, tamper: Tamper, expected: set[str]
) -> None:
    tampered = tmp_path / "gateway.jsonl"
    lines = tamper(evidence.gateway_log.read_bytes().splitlines())
    tampered.write_bytes(b"".join(line + b"\n" for line in lines))

    assert evidence.codes(gateway_log=tampered) == expected


@pytest.fixture(scope="module")
def audited_clients(
    tmp_path_factory: pytest.TempPathFactory, canary_key: SecretBytes, transcript: list[str]
) -> Iterator[Clients]:
    """Clients of a stack whose audit streams are files, which a test may take away."""
    home = tmp_path_factory.mktemp("full-disk") / "home"
    stack = LocalStack(home, Upstream(None, canary_key, "standin"))
    stack.variant = Variant(audit_folder=tmp_path_factory.mktemp("full-disk-files"))
    with stack:
        yield Clients(stack, transcript)


@pytest.mark.parametrize("service", ["keyvault", "gateway"])
async def test_a_full_disk_is_an_outage_until_it_has_room(
    audited_clients: Clients, service: str
) -> None:
    clients = audited_clients
    key, folder = clients.stack.key_name, clients.stack.variant.audit_folder
    assert folder is not None
    file = folder / f"{clients.port(service, 'health')}.jsonl"
    kept = file.with_suffix(".kept")
    file.rename(kept)
    file.symlink_to("/dev/full")
    heard = [*await ask_often(clients, key, 1), await ask_over_http(clients, key)]
    during = _events(kept)

    file.unlink()
    kept.rename(file)
    after = [*await ask_often(clients, key, 1), await ask_over_http(clients, key)]

    assert heard == ["AUDIT_UNAVAILABLE"] * 2
    assert after == [SERVED] * 2
    assert _events(file)[: len(during)] == during
