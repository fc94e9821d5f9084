"""The services' own audit streams: no line was removed, altered, put elsewhere or cut off."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any, Final

from keyturn_cli.audit.chain_track import Attested, ChainTrack, RecentDigests
from keyturn_cli.audit.entries import ServiceRecord, VaultEntry
from keyturn_cli.audit.findings import Finding
from keyturn_cli.audit.line_order import LineOrder
from keyturn_cli.audit.operations import who
from keyturn_cli.audit.options import SECOND_US, VerifyOptions
from keyturn_cli.audit.rules.chain_ends import (
    Unseen,
    cut_off,
    evicted,
    fallen_silent,
    shorten,
    truncated,
    unsigned,
)
from keyturn_cli.audit.rules.chain_links import (
    ChainLine,
    close_gaps,
    compare_attested,
    extend,
    found,
    parse_chain_line,
)
from keyturn_cli.audit.signing_keys import Signatures
from svc_runtime.audit_stream.chain import (
    CHECKPOINT,
    CLOSING,
    LINES_LOST,
    NO_LINE,
    SIGNING_KEY_PREFIX,
    Head,
    parse_request_id,
)

# What only a serving process logs, and always in its chain.
_CHAINED_EVENTS: Final = frozenset(
    {"rpc", "http", "lease_release", "lease_settled", "key_opening", "audit_checkpoint"}
)
# A service signs every 1,000 lines and every minute, if Vault answers.
_MAX_UNSIGNED_LINES: Final = 2500
_MAX_UNSIGNED_US: Final = 900 * SECOND_US
_SILENT_US: Final = 1200 * SECOND_US  # an idle chain has a checkpoint every ten minutes
_LATE_US: Final = 120 * SECOND_US  # so much later, what Vault has signed is in the log
_LOOK_US: Final = 60 * SECOND_US
_KEPT_ATTESTED: Final = 16


class Chains:
    """Follows each chain by the hash of its last line, and compares it with what Vault signed."""

    def __init__(self, options: VerifyOptions) -> None:
        namespace = options.namespace.strip("/")
        place = f"{namespace}/" if namespace else ""
        self._sign_path = f"{place}{options.transit_mount.strip('/')}/sign/{SIGNING_KEY_PREFIX}"
        self._skew_us = options.skew_us
        self._signatures = Signatures(options.signing_keys)
        self._tracks: dict[str, ChainTrack] = {}
        self._unseen: dict[str, Unseen] = {}
        self._first_us: dict[str, int] = {}  # of each service's log, and of its last line
        self._last_us: dict[str, int] = {}
        self._unchecked: dict[str, int] = {}
        self._chaining: set[str] = set()  # services that write chains, by any log
        self._order = LineOrder()
        self._next_look_us = 0

    def see_vault(self, entry: VaultEntry) -> Iterator[Finding]:
        """Look at what Vault signed."""
        if not entry.is_answer or entry.error or not entry.path.startswith(self._sign_path):
            return
        signed = parse_request_id(entry.request_id)
        if signed is None or signed.service != entry.path.removeprefix(self._sign_path):
            facts = {"who": who(entry), "request_id": entry.request_id}
            yield Finding("SIGNATURE_UNEXPLAINED", entry.time_us, (entry.place,), facts)
            return
        self._chaining.add(signed.service)
        attested = Attested(signed.seq, signed.digits, entry.time_us, entry.place)
        track = self._tracks.get(signed.chain)
        if track is None:
            before_it = self._unseen.get(signed.chain)
            is_in_log = before_it and self._is_in_log(signed.service, before_it.first.time_us)
            first = before_it.first if before_it and is_in_log else attested
            self._unseen[signed.chain] = Unseen(signed.service, first, attested)
            shorten(self._unseen)
            return
        before, track.last_attested = track.last_attested, attested
        if before and before.seq == attested.seq and before.digits != attested.digits:
            facts = {"chain": signed.chain, "seq": str(signed.seq)}
            yield Finding("CHAIN_FORKED", entry.time_us, (before.place, entry.place), facts)
        if attested.seq > track.seq:
            track.awaited = [*track.awaited, attested][-_KEPT_ATTESTED:]
        else:
            yield from compare_attested(signed.chain, track, attested)

    def see_service(self, record: ServiceRecord) -> Iterator[Finding]:
        """Look at a line of a service."""
        service = record.text("service")
        self._first_us.setdefault(service, record.time_us)
        self._last_us[service] = max(record.time_us, self._last_us.get(service, 0))
        if record.time_us >= self._next_look_us:
            self._next_look_us = record.time_us + _LOOK_US
            yield from self._look(record.time_us)
        is_moved = self._order.is_moved(record.place)
        line = parse_chain_line(record)
        if line is None:
            if record.text("event") in _CHAINED_EVENTS and service in self._chaining:
                facts = {"event": record.text("event"), "service": service}
                yield Finding("LINE_UNCHAINED", record.time_us, (record.place,), facts)
            return
        self._chaining.add(service)
        track = self._tracks.get(line.chain)
        if track is None:
            track = yield from self._begun(line)
        else:
            if is_moved and line.seq == track.seq + 1:
                facts = {"seq": str(line.seq), "problem": "out of order"}
                yield found("CHAIN_BROKEN", line, track.place, **facts)
            yield from extend(track, line)
        yield from self._said(track, line)

    def finish(self) -> Iterator[Finding]:
        """Tell what is missing at the end."""
        for chain, track in self._tracks.items():
            yield from close_gaps(chain, track, None)
            yield from truncated(chain, track, None)
            late_us = self._last_us.get(track.service, 0) - _LATE_US
            is_overdue = track.is_never_signed and track.time_us < late_us
            if is_overdue or (track.closed_seq and not track.is_signed_to_its_end):
                yield from unsigned(chain, track)
        for chain, unseen in self._unseen.items():
            if self._is_in_log(unseen.service, unseen.last.time_us):
                yield cut_off(chain, 0, unseen.last)
        for service, time_us in self._unchecked.items():
            yield Finding("SIGNATURES_UNCHECKED", time_us, (), {"service": service})

    def state(self) -> Any:  # noqa: ANN401  # JSON
        """Return all that it keeps, as JSON types."""
        return {
            "tracks": {chain: track.state() for chain, track in self._tracks.items()},
            "unseen": {chain: unseen.state() for chain, unseen in self._unseen.items()},
            "first_us": dict(self._first_us),
            "last_us": dict(self._last_us),
            "chaining": sorted(self._chaining),
            "order": self._order.state(),
            "next_look_us": self._next_look_us,
        }

    def restore(self, state: Any) -> None:  # noqa: ANN401  # JSON
        """Go on from *state*."""
        self._tracks = {chain: ChainTrack.of(track) for chain, track in state["tracks"].items()}
        self._unseen = {chain: Unseen.of(unseen) for chain, unseen in state["unseen"].items()}
        self._first_us = dict(state["first_us"])
        self._last_us = dict(state["last_us"])
        self._chaining = set(state["chaining"])
        self._order.restore(state["order"])
        self._next_look_us = state["next_look_us"]

    def _is_in_log(self, service: str, time_us: int) -> bool:
        first_us = self._first_us.get(service)
        return first_us is not None and time_us >= first_us + self._skew_us

    def _begun(self, line: ChainLine) -> Generator[Finding, None, ChainTrack]:
        """Begin to follow the chain of *line*."""
        track = ChainTrack(
            *(line.service, line.seq, line.digest, line.record.place, line.record.time_us),
            line.seq - 1,
            RecentDigests(line.seq),
            line.record.time_us,
        )
        track.recent.append(line.digest)
        unseen = self._unseen.pop(line.chain, None)
        track.last_attested = unseen.last if unseen else None
        self._tracks[line.chain] = track
        yield from evicted(self._tracks, self._signatures.services)
        if line.seq > 1:
            yield found("CHAIN_BEGINS_LATER", line, seq=str(line.seq))
        elif line.prev != NO_LINE:
            yield found("CHAIN_BROKEN", line, seq="1", problem="altered")
        if unseen is None:
            return track
        first, last = unseen.first, unseen.last
        if last.seq > line.seq:
            track.awaited.append(last)
        elif last.seq == line.seq:
            yield from compare_attested(line.chain, track, last)
        if first.seq + 1 < line.seq and self._is_in_log(line.service, first.time_us):
            # The lines between were written after Vault had signed, and so within these logs.
            facts = {"first": str(first.seq + 1), "last": str(line.seq - 1)}
            yield found("CHAIN_GAP", line, first.place, **facts)
        return track

    def _said(self, track: ChainTrack, line: ChainLine) -> Iterator[Finding]:
        """Look at what the line itself says of its chain."""
        event = line.record.text("event")
        if event == CHECKPOINT:
            yield from self._checkpoint(track, line)
        elif event == CLOSING:
            track.closed_seq = line.seq
        elif event == LINES_LOST:
            facts = {"service": line.service, "count": str(line.record.fields.get("count"))}
            yield Finding("CHAIN_LINES_LOST", line.record.time_us, (line.record.place,), facts)
        count = track.seq - track.signed_seq
        unsigned_us = line.record.time_us - track.unsigned_us if track.unsigned_us else 0
        is_late = count > _MAX_UNSIGNED_LINES or unsigned_us > _MAX_UNSIGNED_US
        if is_late:
            yield from unsigned(line.chain, track)

    def _checkpoint(self, track: ChainTrack, line: ChainLine) -> Iterator[Finding]:
        fields = line.record.fields
        seq, digest = fields.get("signed_seq"), line.record.text("signed_head")
        head = Head(line.chain, seq if isinstance(seq, int) else 0, digest)
        is_checked = line.service in self._signatures.services
        if not is_checked:
            self._unchecked.setdefault(line.service, line.record.time_us)
        if not 0 < head.seq < line.seq or (
            is_checked
            and not self._signatures.is_right(line.service, head, line.record.text("signature"))
        ):
            track.is_told_unsigned = True  # by this
            yield found("CHECKPOINT_FORGED", line, seq=str(head.seq))
            return
        kept = track.recent.get(head.seq)
        if kept and not digest.startswith(kept):
            track.is_told_unsigned = True
            facts = {"seq": str(head.seq), "witness": "its checkpoint signs"}
            yield found("CHAIN_REWRITTEN", line, **facts)
            return
        track.signed_seq = max(track.signed_seq, head.seq)
        track.checkpoint_seq = max(track.checkpoint_seq, line.seq)
        track.unsigned_us = 0
        track.is_told_unsigned = False

    def _look(self, now_us: int) -> Iterator[Finding]:
        """Tell what is overdue, and forget what is long past."""
        for chain, track in list(self._tracks.items()):
            yield from close_gaps(chain, track, now_us)
            yield from truncated(chain, track, self._last_us.get(track.service, 0) - _LATE_US)
            if now_us - track.time_us < _SILENT_US:
                continue
            yield from fallen_silent(chain, track)
            if track.closed_seq:
                del self._tracks[chain]
        for chain, unseen in list(self._unseen.items()):
            if unseen.last.time_us < self._last_us.get(unseen.service, 0) - _LATE_US:
                del self._unseen[chain]
                if self._is_in_log(unseen.service, unseen.last.time_us):
                    yield cut_off(chain, 0, unseen.last)
