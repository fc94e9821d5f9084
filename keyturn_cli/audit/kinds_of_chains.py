"""Codes about the services' own audit streams: chains of lines that Vault signs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from keyturn_cli.audit.finding_kind import FindingKind, finding, notice

_COMPARE: Final = (
    "Compare with what the log collector received, and see who can write the service's log."
)
_GIVE_ALL: Final = "Give every file of the service's log; if they were given, lines were removed. "

KINDS_OF_CHAINS: Final[Mapping[str, FindingKind]] = {
    "CHAIN_BROKEN": finding(
        "Line {seq} of chain {chain} is {problem}.",
        "The service's log was changed after it was written. " + _COMPARE,
    ),
    "CHAIN_GAP": finding(
        "Lines {first} to {last} of chain {chain} are missing.",
        _GIVE_ALL + _COMPARE,
    ),
    "CHAIN_FORKED": finding(
        "Line {seq} of chain {chain} exists twice, with different content.",
        "One of the two was written later, in the place of the other. " + _COMPARE,
    ),
    "CHAIN_REWRITTEN": finding(
        "Line {seq} of chain {chain} is not the one that {witness}.",
        "The lines up to there were replaced as a whole. Nothing in them can be relied on: use "
        "Vault's log, and what the log collector received.",
    ),
    "CHAIN_TRUNCATED": finding(
        "Vault signed chain {chain} up to line {attested}, and the log ends with line {seq}.",
        "Give the service's log up to that time; if it was given, its end was cut off. " + _COMPARE,
    ),
    "CHECKPOINT_FORGED": finding(
        "The signature of line {seq} of chain {chain} is not the service's.",
        "Whoever wrote it cannot sign for the service. See that the signing keys are this Vault's; "
        "if they are, take the log for forged.",
    ),
    "CHAIN_UNSIGNED": finding(
        "{count} lines of chain {chain} follow on line {seq}, and no signature covers them.",
        "Vault was away from the service, or checkpoints were removed: whoever can write the log "
        "could have written these lines, and the whole chain where none of it is signed.",
    ),
    "LINE_UNCHAINED": finding(
        "A line of event {event} of {service} is in no chain.",
        "All lines of this event are. Somebody else than the service wrote this one.",
    ),
    "SIGNATURE_UNEXPLAINED": finding(
        "{who} had Vault sign something that is no head of an audit stream, under request id "
        "{request_id}.",
        "Somebody uses the service's login to forge its audit stream. Revoke its credential.",
    ),
    "CHAIN_BEGINS_LATER": notice(
        "The first line of chain {chain} in these logs has number {seq}.",
        "So it is when a log is rotated. What came before is in earlier files.",
    ),
    "CHAIN_UNFINISHED": notice(
        "Chain {chain} falls silent after line {seq}, without an end, and with {count} lines that "
        "no signature covers.",
        "So it is when the process was killed. If it was not, its last lines were removed; whoever "
        "can write the log could have written those without a signature.",
    ),
    "CHAIN_LINES_LOST": notice(
        "{service} could not write {count} lines of its audit stream.",
        "Its disk was full, or nobody read its output. No key was leased or opened meanwhile.",
    ),
    "SIGNATURES_UNCHECKED": notice(
        "Signatures of {service} were not checked: its public key was not given.",
        "Give the file of signing keys (--signing-keys). Without it only Vault's log vouches for "
        "the chains.",
    ),
}
