from __future__ import annotations

from dataclasses import replace

from keyvault_svc.domain.key_state import KeyState
from keyvault_svc.domain.resealing import resealed, sealed_before
from tests.fakes.fake_clock import START
from tests.unit.keyvault_svc.samples import ciphertext_of, make_grant, make_record, make_version

FULL = replace(
    make_record(make_grant(1)),
    incoming=make_version(3, KeyState.PENDING, fingerprint="c"),
    retiring=make_version(2, KeyState.RETIRING, fingerprint="b"),
    last_number=3,
)


def test_resealing_changes_ciphertexts_and_nothing_else() -> None:
    renewed = resealed(FULL, {ciphertext_of(1): "vault:v2:a", ciphertext_of(3): "vault:v2:c"})

    assert renewed.ciphertexts == {"vault:v2:a", ciphertext_of(2), "vault:v2:c"}
    assert renewed.fingerprints == FULL.fingerprints
    assert resealed(renewed, {"vault:v2:a": ciphertext_of(1), "vault:v2:c": ciphertext_of(3)}) == (
        FULL
    )
    assert resealed(FULL, {}) == FULL
    assert resealed(FULL.deleted(START), {}) == FULL.deleted(START)


def test_what_an_older_key_sealed_is_found() -> None:
    record = resealed(FULL, {ciphertext_of(2): "vault:v2:b"})

    assert {s.ciphertext for s in sealed_before(record, 2)} == {ciphertext_of(1), ciphertext_of(3)}
    assert list(sealed_before(record, 1)) == []
    assert list(sealed_before(FULL.deleted(START), 9)) == []
