"""Signatures over a chain: those that do not fit it, and those that are missing."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from keyturn_cli.audit.options import VerifyOptions
from keyturn_cli.audit.rules.chains import Chains
from svc_runtime.audit_stream.chain import Head
from tests.unit.keyturn_cli.audit.chain_scene import (
    Writer,
    altered,
    chained_again,
    codes,
    judged,
    signature_of,
    vault_entry,
    whole_chain,
)

_MIDDLE = 5  # of the ten lines before the first checkpoint


def test_lines_that_were_chained_anew_are_found_by_the_checkpoint() -> None:
    writer = whole_chain()
    writer.lines[_MIDDLE] = altered(writer.lines[_MIDDLE])

    findings = judged(chained_again(writer.lines, with_heads=False))

    assert set(codes(findings)) == {"CHAIN_REWRITTEN"}


def test_checkpoints_that_were_made_to_fit_are_found_by_their_signature() -> None:
    writer = whole_chain()
    writer.lines[_MIDDLE] = altered(writer.lines[_MIDDLE])

    findings = judged(chained_again(writer.lines, with_heads=True))

    assert set(codes(findings)) == {"CHECKPOINT_FORGED"}


def test_what_the_service_itself_has_signed_again_is_found_by_vaults_log() -> None:
    writer = whole_chain()
    lines = chained_again([altered(line) for line in writer.lines], with_heads=True)

    findings = judged(lines, writer.attested, keys=())

    assert set(codes(findings)) == {"CHAIN_REWRITTEN", "SIGNATURES_UNCHECKED"}
    assert {finding.facts.get("witness", "") for finding in findings} == {"Vault has signed", ""}


def test_a_chain_that_vault_signed_twice_is_found() -> None:
    writer = whole_chain()
    second, request_id = writer.attested[0]
    other = request_id[:-16] + "0" * 16

    findings = judged(writer.lines, [*writer.attested[:1], (second + 0.1, other)])

    assert "CHAIN_FORKED" in codes(findings)


def test_a_signature_of_another_key_is_found() -> None:
    writer = Writer()
    writer.write_many(3)
    writer.checkpoint(signature_of(writer.chain.head, Ed25519PrivateKey.generate()))

    assert codes(judged(writer.lines)) == ["CHECKPOINT_FORGED"]


@pytest.mark.parametrize(
    "signature", ["", "x", "vault:v1:", "vault:v1:!", "vault:v2:AAAA", "vault:vx:AAAA", "a:b:c"]
)
def test_what_is_no_signature_is_found(signature: str) -> None:
    writer = Writer()
    writer.write_many(3)
    writer.checkpoint(signature or "none")

    assert codes(judged(writer.lines)) == ["CHECKPOINT_FORGED"]


def test_a_signature_of_another_line_is_found() -> None:
    writer = Writer()
    writer.write_many(3)
    head = writer.chain.head
    writer.checkpoint(signature_of(Head(head.chain, 2, head.digest)))

    assert codes(judged(writer.lines)) == ["CHECKPOINT_FORGED"]


def test_without_public_keys_it_is_told_that_signatures_were_not_checked() -> None:
    writer = whole_chain()

    assert codes(judged(writer.lines, writer.attested, keys=())) == ["SIGNATURES_UNCHECKED"]


def test_many_lines_without_a_checkpoint_are_found_once() -> None:
    writer = Writer()
    for _ in range(2600):
        writer.write()
        writer.second -= 0.9  # ten lines a second

    assert codes(judged(writer.lines)) == ["CHAIN_UNSIGNED"]


def test_lines_that_nobody_signs_for_long_are_found() -> None:
    writer = Writer()
    writer.write()
    writer.second += 901
    writer.write()

    assert codes(judged(writer.lines)) == ["CHAIN_UNSIGNED"]


def test_an_idle_chain_with_checkpoints_is_signed() -> None:
    writer = Writer()
    for _ in range(5):
        writer.second += 599
        writer.checkpoint() if writer.lines else writer.write()

    assert judged(writer.lines, writer.attested) == []


@pytest.mark.parametrize("request_id", ["", "0f3f78b775e040c28dbc45a6f494079c", "chain.x.1.0"])
def test_a_signature_of_something_else_is_found(request_id: str) -> None:
    rule = Chains(VerifyOptions())

    assert codes(rule.see_vault(vault_entry(1, request_id))) == ["SIGNATURE_UNEXPLAINED"]


def test_a_signature_for_another_service_is_found() -> None:
    [(second, request_id), *_] = whole_chain().attested
    rule = Chains(VerifyOptions())

    found = rule.see_vault(vault_entry(second, request_id, "keyvault-svc"))

    assert codes(found) == ["SIGNATURE_UNEXPLAINED"]
