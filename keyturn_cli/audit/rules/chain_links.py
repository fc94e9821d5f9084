"""How a line continues its chain."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from keyturn_cli.audit.chain_track import Attested, ChainTrack, Gap
from keyturn_cli.audit.entries import Place, ServiceRecord
from keyturn_cli.audit.findings import Finding
from keyturn_cli.audit.options import SECOND_US
from svc_runtime.audit_stream.chain import digest_of

_CHAIN: Final = re.compile(r"([a-z][a-z-]{0,23})-[0-9a-f]{16}")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_GAP_US: Final = 10 * SECOND_US  # lines are read in order but for a few seconds
_KEPT_GAPS: Final = 64


@dataclass(frozen=True, slots=True)
class ChainLine:
    """A line of a chain.

    Attributes:
        digest: Its own hash.
        prev: What it says that the hash of the line before it is.
    """

    service: str
    chain: str
    seq: int
    digest: str
    prev: str
    record: ServiceRecord


def parse_chain_line(record: ServiceRecord) -> ChainLine | None:
    """Return *record* as a line of a chain; None when it says of none, or none that can be."""
    chain, prev, seq = record.text("chain"), record.text("prev"), record.fields.get("seq")
    found_chain = _CHAIN.fullmatch(chain)
    if found_chain is None or not isinstance(seq, int) or seq < 1 or not _DIGEST.fullmatch(prev):
        return None
    if found_chain[1] != record.text("service"):
        return None
    return ChainLine(found_chain[1], chain, seq, digest_of(record.raw), prev, record)


def found(code: str, line: ChainLine, *places: Place, **facts: str) -> Finding:
    """Return a finding at *line*, after *places*."""
    every = (*places, line.record.place)
    return Finding(code, line.record.time_us, every, {"chain": line.chain, **facts})


def extend(track: ChainTrack, line: ChainLine) -> Iterator[Finding]:
    """Continue *track* by *line*."""
    if line.seq <= track.seq:
        yield from _again(track, line)
        return
    missing = line.seq - track.seq - 1
    place, before = line.record.place, track.place
    if missing:
        gap = Gap(track.seq + 1, line.seq - 1, line.record.time_us, before, place)
        track.gaps.append(gap)
        track.recent.skip(missing)
    elif line.prev != track.digest:
        facts = {"seq": str(track.seq), "problem": f"altered, or line {line.seq} is"}
        yield found("CHAIN_BROKEN", line, before, **facts)
    track.seq, track.digest, track.place = line.seq, line.digest, place
    track.time_us = line.record.time_us
    track.is_told_silent = False
    track.unsigned_us = track.unsigned_us or track.time_us
    track.recent.append(line.digest)
    due = [attested for attested in track.awaited if attested.seq <= line.seq]
    if due:
        track.awaited = [attested for attested in track.awaited if attested.seq > line.seq]
        for attested in due:
            yield from compare_attested(line.chain, track, attested)
    if len(track.gaps) > _KEPT_GAPS:
        yield from close_gaps(line.chain, track, None)


def compare_attested(chain: str, track: ChainTrack, attested: Attested) -> Iterator[Finding]:
    """Compare a line that has come with what Vault's log says of it."""
    kept = track.recent.get(attested.seq)
    if kept and not kept.startswith(attested.digits):
        facts = {"chain": chain, "seq": str(attested.seq), "witness": "Vault has signed"}
        yield Finding("CHAIN_REWRITTEN", attested.time_us, (track.place, attested.place), facts)


def close_gaps(chain: str, track: ChainTrack, now_us: int | None) -> Iterator[Finding]:
    """Tell of lines that did not come by *now_us*, None for the end of the logs."""
    while track.gaps and (now_us is None or track.gaps[0].time_us < now_us - _GAP_US):
        gap = track.gaps.pop(0)
        facts = {"chain": chain, "first": str(gap.first), "last": str(gap.last)}
        yield Finding("CHAIN_GAP", gap.time_us, (gap.before, gap.after), facts)


def _again(track: ChainTrack, line: ChainLine) -> Iterator[Finding]:
    """Look at a line whose number was passed already."""
    kept = track.recent.get(line.seq)
    if kept and line.digest.startswith(kept):
        return  # the same line, in a log that was given twice
    if kept:
        yield found("CHAIN_FORKED", line, seq=str(line.seq))
        return
    yield found("CHAIN_BROKEN", line, track.place, seq=str(line.seq), problem="out of order")
    if not track.recent.is_known_to_miss(line.seq):
        return
    track.recent.fill(line.seq, line.digest)
    for gap in track.gaps:
        if gap.first <= line.seq <= gap.last:
            track.gaps.remove(gap)
            track.gaps += _without(gap, line.seq)
            break


def _without(gap: Gap, seq: int) -> list[Gap]:
    """Return what is left of *gap* once line *seq* has come."""
    parts = ((gap.first, seq - 1), (seq + 1, gap.last))
    return [
        Gap(first, last, gap.time_us, gap.before, gap.after)
        for first, last in parts
        if first <= last
    ]
