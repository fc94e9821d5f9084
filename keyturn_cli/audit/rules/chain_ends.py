"""Where a chain ends: cut off, without a signature, or pushed out by others."""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import Any, Final

from keyturn_cli.audit.chain_track import Attested, ChainTrack
from keyturn_cli.audit.findings import Finding

_KEPT_CHAINS: Final = 256


@dataclass(frozen=True, slots=True)
class Unseen:
    """A chain that Vault has signed, and of which no line has come.

    Attributes:
        first: The first that Vault has signed within the service's log.
        last: The last.
    """

    service: str
    first: Attested
    last: Attested

    def state(self) -> list[Any]:
        """Return it as JSON types."""
        return [self.service, self.first.state(), self.last.state()]

    @classmethod
    def of(cls, state: list[Any]) -> Unseen:
        """Return what *state* says."""
        service, first, last = state
        return cls(service, Attested.of(first), Attested.of(last))


def truncated(chain: str, track: ChainTrack, before_us: int | None) -> Iterator[Finding]:
    """Tell what Vault signed before *before_us*, None for ever, and the log does not have."""
    overdue = [
        attested
        for attested in track.awaited
        if attested.seq > track.seq and (before_us is None or attested.time_us < before_us)
    ]
    if overdue:
        track.awaited = [attested for attested in track.awaited if attested not in overdue]
        yield cut_off(chain, track.seq, overdue[-1], track)


def cut_off(chain: str, seq: int, attested: Attested, track: ChainTrack | None = None) -> Finding:
    """Return that *chain* ends with line *seq*, and Vault has signed more."""
    places = (track.place, attested.place) if track else (attested.place,)
    facts = {"chain": chain, "attested": str(attested.seq), "seq": str(seq)}
    return Finding("CHAIN_TRUNCATED", attested.time_us, places, facts)


def unsigned(chain: str, track: ChainTrack) -> Iterator[Finding]:
    """Tell, once until the next checkpoint, that no signature covers the chain's last lines."""
    if not track.is_told_unsigned:
        track.is_told_unsigned = True
        count = str(track.seq - track.signed_seq)
        facts = {"chain": chain, "seq": str(track.signed_seq), "count": count}
        yield Finding("CHAIN_UNSIGNED", track.time_us, (track.place,), facts)


def fallen_silent(chain: str, track: ChainTrack) -> Iterator[Finding]:
    """Tell, once, how a chain has ended from which no line came for long."""
    if track.is_never_signed or (track.closed_seq and not track.is_signed_to_its_end):
        yield from unsigned(chain, track)
    if not track.closed_seq and not track.is_told_silent:
        track.is_told_silent = True
        count = str(track.seq - max(track.signed_seq, track.checkpoint_seq))
        facts = {"chain": chain, "seq": str(track.seq), "count": count}
        yield Finding("CHAIN_UNFINISHED", track.time_us, (track.place,), facts)


def evicted(tracks: dict[str, ChainTrack], checked: Container[str]) -> Iterator[Finding]:
    """Forget one of *tracks* when there are too many.

    Those for which Vault vouches stay longest: else whoever can write the log could have a chain
    forgotten by beginning many others.

    Args:
        tracks: By chain.
        checked: The services whose signatures are checked.
    """

    def worth(chain: str) -> tuple[bool, int]:
        track = tracks[chain]
        is_signed = track.checkpoint_seq > 0 and track.service in checked
        return track.last_attested is not None or is_signed, track.time_us

    if len(tracks) > _KEPT_CHAINS:
        chain = min(tracks, key=worth)
        track = tracks.pop(chain)
        if track.is_never_signed:
            yield from unsigned(chain, track)


def shorten(kept: dict[str, Any]) -> None:
    """Forget the oldest of *kept* when there are too many."""
    while len(kept) > _KEPT_CHAINS:
        del kept[next(iter(kept))]
