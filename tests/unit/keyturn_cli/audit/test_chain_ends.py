"""How a chain ends, and that it is not forgotten before."""

from __future__ import annotations

import json

import pytest

from keyturn_cli.audit.options import VerifyOptions
from keyturn_cli.audit.rules.chains import Chains
from tests.unit.keyturn_cli.audit.chain_scene import (
    SERVICE,
    SIGNING_KEY,
    Writer,
    codes,
    judged,
    seen,
    signature_of,
    time_of,
    vault_entry,
    whole_chain,
)


def _signed_for(seconds: int) -> Writer:
    writer = Writer()
    writer.write()
    for _ in range(seconds // 60):
        writer.second += 60
        writer.checkpoint()
    return writer


def test_a_chain_that_falls_silent_is_a_notice() -> None:
    one, other = Writer(), _signed_for(1800)
    one.write()
    one.checkpoint()
    one.write_many(3)

    [finding] = judged([*one.lines, *other.lines])

    assert (finding.code, finding.facts["count"]) == ("CHAIN_UNFINISHED", "3")


def test_a_chain_that_was_never_signed_is_found_once_it_falls_silent() -> None:
    forged, other = Writer(), _signed_for(1800)
    forged.write_many(3)

    found = codes(judged([*forged.lines, *other.lines]))

    assert found == ["CHAIN_UNSIGNED", "CHAIN_UNFINISHED"]


def test_a_chain_that_was_never_signed_is_found_at_the_end_of_the_log() -> None:
    forged, other = Writer(), _signed_for(300)
    forged.write_many(3)

    assert codes(judged([*forged.lines, *other.lines])) == ["CHAIN_UNSIGNED"]


def test_a_chain_that_has_just_begun_needs_no_signature_yet() -> None:
    begun, other = Writer(), _signed_for(300)
    begun.second = other.second - 30
    begun.write_many(3)

    assert judged([*other.lines, *begun.lines]) == []


@pytest.mark.parametrize("seconds", [60, 1800])
def test_a_chain_that_was_closed_without_a_signature_is_found(seconds: int) -> None:
    forged, other = Writer(), _signed_for(seconds)
    forged.write_many(3)
    forged.write("audit_stream_closed")

    assert codes(judged([*forged.lines, *other.lines])) == ["CHAIN_UNSIGNED"]


@pytest.mark.parametrize("seconds", [60, 1800])
def test_lines_that_were_added_to_a_closed_chain_are_found(seconds: int) -> None:
    writer, other = whole_chain(), _signed_for(seconds)
    writer.write_many(2)

    [finding] = judged([*writer.lines, *other.lines], writer.attested)

    assert (finding.code, finding.facts["count"]) == ("CHAIN_UNSIGNED", "3")


def test_lines_that_come_while_the_end_is_signed_give_no_finding() -> None:
    writer = Writer()
    writer.write("audit_stream_closed")
    head = writer.chain.head
    writer.write("vault_denied")
    writer.write(
        "audit_checkpoint",
        signed_seq=head.seq,
        signed_head=head.digest,
        signature=signature_of(head),
    )

    assert judged(writer.lines) == []


@pytest.mark.parametrize("second", [0.5, 27.5, 2000])
def test_a_line_without_a_chain_is_found_wherever_vault_tells_of_chains(second: float) -> None:
    writer, attested = whole_chain(), whole_chain().attested
    content = {"event": "rpc", "service": SERVICE, "time": time_of(second)}
    forged = json.dumps(content).encode()
    rule = Chains(VerifyOptions(signing_keys=(SIGNING_KEY,)))
    [(_, request_id), *_] = attested

    list(rule.see_vault(vault_entry(0.1, request_id)))
    lines = [forged, *writer.lines] if second < 1 else [*writer.lines, forged]

    assert "LINE_UNCHAINED" in codes(seen(rule, lines, writer.attested))


def test_a_line_without_a_chain_is_found_after_its_service_was_silent_for_long() -> None:
    writer, other = whole_chain(), Writer("keyvault-svc")
    other.second = 3000
    other.write()
    content = {"event": "rpc", "service": SERVICE, "time": time_of(3010)}

    findings = judged([*writer.lines, *other.lines, json.dumps(content).encode()], writer.attested)

    assert "LINE_UNCHAINED" in codes(findings)


def test_a_chain_is_not_forgotten_because_many_others_begin() -> None:
    writer = whole_chain()
    others = [Writer() for _ in range(300)]
    for other in others:
        other.second = 12.5
        other.write()
    lines = [*writer.lines[:14], *(o.lines[0] for o in others), *writer.lines[20:]]

    findings = judged(lines, writer.attested)

    assert ("CHAIN_GAP", writer.chain.head.chain) in [(f.code, f.facts["chain"]) for f in findings]
    assert "CHAIN_BEGINS_LATER" not in codes(findings)
