"""A record's ciphertexts, put under a newer version of the transit key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from keyvault_svc.domain.key_record import KeyRecord
from keyvault_svc.domain.key_version import KeyVersion, SealedKey


def sealed_before(record: KeyRecord, epoch: int) -> Iterator[SealedKey]:
    """Yield what was sealed by a version of the transit key before *epoch*."""
    for version in record.versions:
        if version.sealed is not None and version.sealed.epoch < epoch:
            yield version.sealed


def resealed(record: KeyRecord, ciphertexts: Mapping[str, str]) -> KeyRecord:
    """Return the record with each ciphertext that *ciphertexts* names replaced."""

    def renewed(version: KeyVersion | None) -> KeyVersion | None:
        if version is None or version.sealed is None:
            return version
        old = version.sealed
        new = ciphertexts.get(old.ciphertext, old.ciphertext)
        return replace(version, sealed=replace(old, ciphertext=new))

    return replace(
        record,
        current=renewed(record.current) or record.current,
        incoming=renewed(record.incoming),
        retiring=renewed(record.retiring),
    )
