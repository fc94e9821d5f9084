"""What was done to a service's audit stream is found, and which line it is."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from keyturn_cli.audit.chain_track import KEPT_LINES
from keyturn_cli.audit.entries import Place, ServiceRecord, parse_service_line
from keyturn_cli.audit.findings import Finding
from keyturn_cli.audit.options import VerifyOptions
from keyturn_cli.audit.rules.chains import Chains
from tests.unit.keyturn_cli.audit.chain_scene import (
    SIGNING_KEY,
    Writer,
    altered,
    codes,
    judged,
    seen,
    whole_chain,
)

# Ten lines follow the first, then the first checkpoint.
_MIDDLE = 5


def test_an_untouched_chain_gives_no_finding() -> None:
    writer = whole_chain()

    assert judged(writer.lines, writer.attested) == []


def test_chains_side_by_side_give_no_finding() -> None:
    one, other = whole_chain(), whole_chain()
    lines = [line for pair in zip(one.lines, other.lines, strict=True) for line in pair]

    assert judged(lines) == []


def test_a_line_that_was_altered_is_found_by_the_next_one() -> None:
    writer = whole_chain()
    writer.lines[_MIDDLE] = altered(writer.lines[_MIDDLE])

    [finding] = judged(writer.lines)

    assert finding.code == "CHAIN_BROKEN"
    assert [place.line for place in finding.places] == [_MIDDLE + 1, _MIDDLE + 2]
    assert finding.facts["seq"] == str(_MIDDLE + 1)


def test_the_last_line_that_was_altered_is_found_by_its_checkpoint() -> None:
    writer = whole_chain()
    del writer.lines[-1]
    head = writer.lines[-1]
    writer.lines[-1] = head.replace(b"audit_stream_closed", b"audit_stream_open")

    findings = judged(writer.lines, writer.attested)

    assert "CHAIN_REWRITTEN" in codes(findings)


def test_a_line_that_was_removed_is_found() -> None:
    writer = whole_chain()
    del writer.lines[_MIDDLE]

    [finding] = judged(writer.lines)

    assert (finding.code, finding.facts["first"], finding.facts["last"]) == ("CHAIN_GAP", "6", "6")
    assert [place.line for place in finding.places] == [_MIDDLE, _MIDDLE + 1]


def test_lines_that_were_removed_are_told_while_the_log_goes_on() -> None:
    writer = Writer()
    writer.write_many(200)
    del writer.lines[_MIDDLE : _MIDDLE + 3]

    found = seen(Chains(VerifyOptions(signing_keys=(SIGNING_KEY,))), writer.lines)

    assert [(each.code, each.facts["first"], each.facts["last"]) for each in found] == [
        ("CHAIN_GAP", "6", "8")
    ]


def test_lines_that_were_swapped_are_found() -> None:
    writer = whole_chain()
    lines = writer.lines
    lines[_MIDDLE], lines[_MIDDLE + 1] = lines[_MIDDLE + 1], lines[_MIDDLE]

    assert set(codes(judged(lines))) == {"CHAIN_BROKEN"}


def test_a_line_that_was_moved_far_away_is_found_though_logs_are_read_by_time() -> None:
    writer = whole_chain()
    rule = Chains(VerifyOptions(signing_keys=(SIGNING_KEY,)))
    findings: list[Finding] = []
    for record in _read_by_time(writer.lines, moved=_MIDDLE):
        findings += rule.see_service(record)

    [finding] = findings

    assert (finding.code, finding.facts["problem"]) == ("CHAIN_BROKEN", "out of order")


def _read_by_time(lines: list[bytes], moved: int) -> Iterator[ServiceRecord]:
    """Yield records in the order of time, of a log in which one line stands at the end."""
    for number, raw in enumerate(lines, 1):
        place = len(lines) if number == moved + 1 else number - (number > moved + 1)
        record = parse_service_line(raw, Place("gateway-svc.log", place))
        assert record is not None
        yield record


def test_a_line_that_was_put_in_is_found() -> None:
    writer = whole_chain()
    writer.lines.insert(_MIDDLE, altered(writer.lines[_MIDDLE]))

    assert "CHAIN_FORKED" in codes(judged(writer.lines))


def test_a_line_without_a_chain_is_found() -> None:
    writer = whole_chain()
    content = json.loads(writer.lines[_MIDDLE])
    for name in ("chain", "seq", "prev"):
        del content[name]
    writer.lines.insert(_MIDDLE, json.dumps(content).encode())

    [finding] = judged(writer.lines)

    assert (finding.code, finding.places[0].line) == ("LINE_UNCHAINED", _MIDDLE + 1)


def test_other_lines_need_no_chain() -> None:
    writer = whole_chain()
    plain = {"event": "vault_login", "service": "gateway-svc", "time": "2026-03-01T12:00:05Z"}
    writer.lines.insert(_MIDDLE, json.dumps(plain).encode())

    assert judged(writer.lines) == []


def test_a_log_that_is_given_twice_gives_no_finding() -> None:
    writer = whole_chain()
    lines = [line for line in writer.lines for _ in range(2)]

    assert judged(lines, writer.attested) == []


def test_a_chain_that_begins_in_an_earlier_file_is_a_notice() -> None:
    writer = whole_chain()

    assert codes(judged(writer.lines[_MIDDLE:])) == ["CHAIN_BEGINS_LATER"]


def test_a_beginning_that_was_removed_is_found_if_vault_signed_in_it() -> None:
    one, other = whole_chain(), whole_chain()
    lines = [*one.lines[:2], *other.lines[14:]]  # the first checkpoint is line 12

    findings = judged(lines, other.attested)

    [gap] = [finding for finding in findings if finding.code == "CHAIN_GAP"]
    assert (gap.facts["first"], gap.facts["last"]) == ("12", "14")


def test_a_beginning_that_was_removed_up_to_a_signature_is_found_if_vault_signed_before() -> None:
    one, other = whole_chain(), whole_chain()
    # Line 12 is the checkpoint that signs line 11, and line 23 the one that signs line 22.
    lines = [*one.lines[:2], *other.lines[22:]]

    findings = judged(lines, other.attested)

    [gap] = [finding for finding in findings if finding.code == "CHAIN_GAP"]
    assert (gap.facts["first"], gap.facts["last"]) == ("12", "22")


@pytest.mark.parametrize("count", [1, 2, 3, 10])
def test_an_end_that_was_cut_off_is_found_if_vault_signed_it(count: int) -> None:
    writer = whole_chain()
    cut = writer.lines[: -count - 1]

    [finding] = judged(cut, writer.attested)

    assert finding.code == "CHAIN_TRUNCATED"
    assert (finding.facts["attested"], finding.facts["seq"]) == ("26", str(len(cut)))


def test_a_chain_of_which_no_line_is_there_is_found_if_vault_signed_it() -> None:
    one, other = whole_chain(), whole_chain()

    findings = judged(one.lines, [*one.attested, *other.attested])

    assert codes(findings) == ["CHAIN_TRUNCATED"]
    assert findings[0].facts["chain"] == other.chain.head.chain


def test_an_end_that_was_cut_off_is_told_while_the_log_goes_on() -> None:
    one, other = whole_chain(), Writer()
    other.write_many(400)
    lines = one.lines[:-5] + other.lines[30:]

    found = seen(Chains(VerifyOptions(signing_keys=(SIGNING_KEY,))), lines, one.attested)

    assert "CHAIN_TRUNCATED" in codes(found)


def test_vault_alone_gives_no_finding() -> None:
    assert judged([], whole_chain().attested) == []


def test_what_vault_signed_of_a_service_whose_log_is_not_given_is_no_finding() -> None:
    writer = whole_chain()
    other = Writer("keyvault-svc")
    other.write_many(40)

    assert judged(other.lines, writer.attested) == []


def test_lines_that_the_service_lost_are_a_notice() -> None:
    writer = Writer()
    writer.write("audit_lines_lost", count=7)

    [finding] = judged(writer.lines)

    assert (finding.code, finding.facts["count"]) == ("CHAIN_LINES_LOST", "7")


@pytest.mark.parametrize("cut", range(1, 27))
def test_whatever_is_kept_in_between_nothing_is_lost(cut: int) -> None:
    writer = whole_chain()
    writer.lines[_MIDDLE] = altered(writer.lines[_MIDDLE])
    del writer.lines[20]
    split = next(
        (n for n, (second, _) in enumerate(writer.attested) if second > cut), len(writer.attested)
    )
    options = VerifyOptions(signing_keys=(SIGNING_KEY,))
    first, second = Chains(options), Chains(options)

    findings = seen(first, writer.lines[:cut], writer.attested[:split])
    second.restore(json.loads(json.dumps(first.state())))
    findings += judged(writer.lines[cut:], writer.attested[split:], rule=second)

    assert codes(findings) == ["CHAIN_BROKEN", "CHAIN_GAP"]


def test_memory_does_not_grow_with_a_chain() -> None:
    sizes = []
    rule = Chains(VerifyOptions(signing_keys=(SIGNING_KEY,)))
    writer = Writer()
    for _ in range(3):
        writer.lines.clear()
        while len(writer.lines) < 4 * KEPT_LINES:
            writer.write()
            writer.second -= 0.99
            if writer.chain.head.seq % 1000 == 0:
                writer.checkpoint()
                writer.second -= 0.99
        assert seen(rule, writer.lines) == []
        sizes.append(len(json.dumps(rule.state())))

    assert sizes[2] < 1.1 * max(sizes[0], 2 * KEPT_LINES * 16)
