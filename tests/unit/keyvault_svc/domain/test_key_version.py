from __future__ import annotations

import pytest

from keyvault_svc.domain.errors import KeyStateConflictError
from keyvault_svc.domain.key_state import KeyEvent, KeyState
from keyvault_svc.domain.key_version import KeyVersion, SealedKey, Verification, VerificationOutcome
from tests.fakes.fake_clock import START
from tests.unit.keyvault_svc.samples import make_version

SEALED = SealedKey("vault:v12:canary", "canaryprint")


def test_a_plaintext_that_arrives_waits_for_its_verification() -> None:
    version = KeyVersion.arriving(3, SEALED, START)

    assert (version.number, version.state, version.create_time) == (3, KeyState.PENDING, START)
    assert version.awaits_verification
    assert version.destroy_time is None


def test_the_epoch_is_the_version_of_the_key_that_sealed_it() -> None:
    assert SEALED.epoch == 12


def test_neither_ciphertext_nor_fingerprint_is_shown() -> None:
    assert "canary" not in repr(KeyVersion.arriving(1, SEALED, START))


@pytest.mark.parametrize(
    ("outcome", "state", "awaits"),
    [
        (VerificationOutcome.VERIFIED, KeyState.ACTIVE, False),
        (VerificationOutcome.WRONG_KEY, KeyState.REJECTED, False),
        (VerificationOutcome.NO_QUOTA, KeyState.PENDING, False),
        (VerificationOutcome.NO_PERMISSION, KeyState.PENDING, False),
        (VerificationOutcome.OPENAI_UNREACHABLE, KeyState.PENDING, True),
    ],
)
def test_what_openai_says_of_a_waiting_version_decides_what_becomes_of_it(
    outcome: VerificationOutcome, state: KeyState, *, awaits: bool
) -> None:
    verification = Verification(outcome, START)

    tried = KeyVersion.arriving(1, SEALED, START).tried(verification)

    assert (tried.state, tried.verification) == (state, verification)
    assert tried.awaits_verification is awaits


@pytest.mark.parametrize("outcome", sorted(set(VerificationOutcome) - {"verified", "wrong_key"}))
@pytest.mark.parametrize("state", KeyState)
def test_an_outcome_that_tells_nothing_of_the_key_changes_no_state(
    state: KeyState, outcome: VerificationOutcome
) -> None:
    assert make_version(state=state).tried(Verification(outcome, START)).state is state


def test_what_is_kept_for_an_undo_is_not_verified() -> None:
    with pytest.raises(KeyStateConflictError):
        make_version(state=KeyState.RETIRING).tried(
            Verification(VerificationOutcome.VERIFIED, START)
        )


def test_only_a_waiting_version_awaits_a_verification() -> None:
    waiting = {state for state in KeyState if make_version(state=state).awaits_verification}

    assert waiting == {KeyState.PENDING}


def test_a_destroyed_plaintext_is_held_no_more() -> None:
    assert make_version(fingerprint="a").holds("a")
    assert not make_version(fingerprint="a").holds("b")
    assert not make_version(state=KeyState.DELETED, fingerprint="a").holds("a")


def test_an_event_that_cannot_happen_is_refused() -> None:
    with pytest.raises(KeyStateConflictError):
        make_version().after(KeyEvent.RESTORED)
