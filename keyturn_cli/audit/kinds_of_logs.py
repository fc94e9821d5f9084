"""Codes about the logs themselves, and about what services' logs say beside Vault's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from keyturn_cli.audit.finding_kind import FindingKind, finding, notice

_COMPARE_DEVICES: Final = (
    "Compare with the log of another audit device or of the collector that got the lines first."
)
_ALL_REPLICAS: Final = "Give the logs of all replicas; if they were given, "

KINDS_OF_LOGS: Final[Mapping[str, FindingKind]] = {
    "ANSWER_WITHOUT_REQUEST": finding(
        "Vault answered {operation} {path}, and no line says that it was asked.",
        "A line was removed, or a file of the log is missing. " + _COMPARE_DEVICES,
    ),
    "ANSWER_DIFFERS": finding(
        "Vault was asked for one {part}, and answered of another ({operation} {path}).",
        "One of the two lines was altered. " + _COMPARE_DEVICES,
    ),
    "REQUEST_WITHOUT_ANSWER": finding(
        "Vault was asked for {operation} {path}, and no line says what it answered.",
        "A line was removed, or Vault was killed just then. " + _COMPARE_DEVICES,
    ),
    "REQUEST_CUT_OFF": notice(
        "Vault was asked for {operation} {path}, and fell silent before it answered.",
        "So it is when Vault is stopped or sealed. If it was not, " + _COMPARE_DEVICES.lower(),
    ),
    "CLOCK_BACKWARDS": finding(
        "A line is {back} older than one before it.",
        "The clock of a node of Vault jumped, or a line was put in later. " + _COMPARE_DEVICES,
    ),
    "LOG_SILENT": finding(
        "Vault's log says nothing for {silence}.",
        "The key service asks Vault again and again: Vault was down, or lines were removed. "
        + _COMPARE_DEVICES,
    ),
    "LINE_AHEAD": finding(
        "A line is dated more than a day ahead of now. It is judged as of the line before it.",
        "A clock was far off, or the line was altered. " + _COMPARE_DEVICES,
    ),
    "LINE_UNREADABLE": finding(
        "A line of Vault's audit log is no entry.",
        "It was altered, or cut off by a full disk. " + _COMPARE_DEVICES,
    ),
    "SERVICE_LINE_UNREADABLE": notice(
        "A line of a service's log is no record.",
        "A library printed it, or it was altered. The services' own lines are JSON.",
    ),
    "CALL_NOT_RECORDED": finding(
        "A key was opened under lease {lease}, and no gateway has a record of the call.",
        _ALL_REPLICAS + "somebody uses the gateway's login outside of a gateway.",
    ),
    "CALL_OPEN_AT_END": notice(
        "A key was opened under lease {lease}, and the logs end without a record of the call.",
        "Calls that last long are recorded when they end: verify again with newer logs.",
    ),
    "CALL_WITHOUT_DECRYPT": finding(
        "A gateway reached OpenAI under lease {lease}, and Vault opened no key for that.",
        "The gateway kept a key, or lines are missing in Vault's log.",
    ),
    "LEASE_NOT_RECORDED": finding(
        "The key service read a record under lease {lease}, and has no record of that call.",
        _ALL_REPLICAS + "somebody uses the key service's login outside of a key service.",
    ),
    "WRITE_NOT_RECORDED": finding(
        "{path} was written under request id {request_id}, of which the key service has no record.",
        _ALL_REPLICAS + "somebody uses the key service's login outside of a key service.",
    ),
    "CONTROLS_NOT_BY_OPERATOR": finding(
        "What operators have stopped was changed by no operator's call (request id {request_id}).",
        "Look at what holds (`keyturn operator controls`), and see what that key service is "
        "running.",
    ),
    "RECORD_DIFFERS": finding(
        "{service} says {said} of lease {lease}, where Vault's log says {seen}.",
        "A record was altered, or a service says what is not so. Vault's log decides.",
    ),
    "LEASE_UNSETTLED": notice(
        "No gateway told what was used under lease {lease}: it is charged as it was reserved.",
        "A gateway was killed. In numbers, see what gateways are running.",
    ),
}
