"""What `keyturn audit verify` says of lines of logs."""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterable, Iterator, Mapping
from operator import attrgetter
from typing import Any

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
from tests.integration.audit.day import Day

VAULT_LOG = "audit.log"


def judge(
    day: Day,
    vault: Iterable[bytes] | None = None,
    services: Mapping[str, Iterable[bytes]] | None = None,
    *,
    resume_every: int = 0,
    **options: Any,  # noqa: ANN401 - fields of VerifyOptions
) -> list[Finding]:
    """Return the findings of Vault's lines, and of the services' if *services* gives some.

    Args:
        day: Names the windows, and Vault's lines if *vault* gives no others.
        vault: Lines of Vault's audit log.
        services: Lines of services' logs by service.
        resume_every: After how many lines to go on from a checkpoint; 0 for never.
        options: What else the verification is told.
    """
    named = {"windows": tuple(day.windows), "signing_keys": day.signing_keys}
    told = VerifyOptions(**{**named, **options})
    verifier = Verifier(told)
    findings: list[Finding] = []
    entries = list(_vault(verifier, day.vault if vault is None else vault, findings))
    logs: list[list[VaultEntry | ServiceRecord]] = [[*entries]]
    logs += [[*_service(name, lines)] for name, lines in (services or {}).items()]
    for number, item in enumerate(heapq.merge(*logs, key=attrgetter("time_us")), 1):
        if isinstance(item, VaultEntry):
            findings += verifier.see_vault(item)
        else:
            findings += verifier.see_service(item)
        if resume_every and number % resume_every == 0:
            state = json.loads(json.dumps(verifier.state()))
            verifier = Verifier(told)
            verifier.restore(state)
    return findings + verifier.finish()


def codes(findings: Iterable[Finding]) -> set[str]:
    """Return the codes of *findings*."""
    return {finding.code for finding in findings}


def _vault(
    verifier: Verifier, lines: Iterable[bytes], findings: list[Finding]
) -> Iterator[VaultEntry]:
    for number, line in enumerate(lines, 1):
        place = Place(VAULT_LOG, number)
        entry = parse_vault_line(line, place)
        if entry is None:
            findings += verifier.see_bad_line(place, is_vault=True)
        else:
            yield entry


def _service(name: str, lines: Iterable[bytes]) -> Iterator[ServiceRecord]:
    for number, line in enumerate(lines, 1):
        record = parse_service_line(line, Place(f"{name}.log", number))
        if record is not None:
            yield record
