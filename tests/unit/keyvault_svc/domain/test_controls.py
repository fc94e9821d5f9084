from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from keyvault_svc.domain.controls import (
    MAX_OWNER_LIMITS,
    MAX_REASON,
    MAX_SUSPENSIONS,
    Controls,
    Subject,
    Suspension,
)
from keyvault_svc.domain.errors import SuspendedError, TooManySuspensionsError
from keyvault_svc.domain.limits import Limits
from keyvault_svc.domain.names import KeyName, OwnerName
from svc_runtime.service_error import InvalidFieldError
from svc_runtime.spiffe_id import SpiffeId
from tests.fakes.fake_clock import START

KEY = KeyName.parse("users/alice/keys/openai", "name")
APP = SpiffeId.parse("spiffe://example.org/app/billing")
STRICT = Limits(usd_per_month=Decimal(5))
DEFAULT = Limits(usd_per_month=Decimal(100))


def _suspension(subject: str, reason: str = "leaked") -> Suspension:
    return Suspension(Subject.parse(subject, "subject"), reason, "olga", START)


def _controls(*subjects: str) -> Controls:
    suspensions = [_suspension(subject) for subject in subjects]
    return Controls({suspension.subject: suspension for suspension in suspensions})


@pytest.mark.parametrize(
    "subject",
    [
        "*",
        "users/alice",
        "teams/alice",
        "users/alice/keys/openai",
        "spiffe://example.org/app/billing",
        "spiffe://example.org/keys/a",
    ],
)
def test_a_subject_is_read_and_written_alike(subject: str) -> None:
    assert str(Subject.parse(subject, "subject")) == subject


@pytest.mark.parametrize(
    "subject",
    [
        "",
        "**",
        " *",
        "*/keys/a",
        "alice",
        "users/",
        "users/Alice",
        "users/alice/",
        "users/alice/keys/",
        "users/alice/keys/a/grants/0123456789abcdef",
        "users/al%69ce",
        "users/\u0430lice",
        "users/../teams/a",
        "spiffe://example.org",
        "spiffe://example.org/app/../b",
        "https://example.org/app",
        "SPIFFE://example.org/app/billing",
    ],
)
def test_what_is_nothing_that_can_be_stopped_is_refused(subject: str) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        Subject.parse(subject, "suspension.subject")

    assert caught.value.field == "suspension.subject"


@pytest.mark.parametrize("subject", ["*", str(KEY.owner), str(KEY), str(APP)])
def test_a_stop_of_the_key_its_owner_the_app_or_everything_holds(subject: str) -> None:
    controls = _controls(subject)

    assert controls.suspended(KEY, APP) == _suspension(subject)
    with pytest.raises(SuspendedError):
        controls.must_allow(KEY, APP)


@pytest.mark.parametrize(
    "subject",
    [
        "teams/alice",
        "users/alice2",
        "users/alic",
        "users/alice/keys/openai2",
        "users/bob/keys/openai",
        "teams/alice/keys/openai",
        "spiffe://example.org/app/billing2",
        "spiffe://example.org/app",
        "spiffe://example.com/app/billing",
    ],
)
def test_a_stop_of_something_else_does_not_hold(subject: str) -> None:
    controls = _controls(subject)

    assert controls.suspended(KEY, APP) is None
    controls.must_allow(KEY, APP)


def test_of_several_stops_the_widest_is_told() -> None:
    controls = _controls(str(APP), str(KEY), "users/alice", "*")

    assert controls.suspended(KEY, APP) == _suspension("*")


def test_what_is_suspended_keeps_its_first_reason_and_time() -> None:
    first = Controls().with_suspension(_suspension("*"))

    assert first.with_suspension(replace(_suspension("*", "again"), creator="bob")) == first


def test_resuming_ends_exactly_one_stop() -> None:
    controls = _controls("users/alice", str(KEY))

    left = controls.without_suspension(Subject.parse("users/alice", "subject"))

    assert left == _controls(str(KEY))
    assert left.without_suspension(Subject.parse("*", "subject")) == left


def test_stops_are_bounded_in_number() -> None:
    full = _controls(*(f"users/u{n}" for n in range(MAX_SUSPENSIONS)))

    with pytest.raises(TooManySuspensionsError):
        full.with_suspension(_suspension("*"))
    assert full.with_suspension(_suspension("users/u0")) == full
    freed = full.without_suspension(Subject.parse("users/u0", "subject"))
    assert freed.with_suspension(_suspension("*")).suspended(KEY, APP)


@pytest.mark.parametrize(
    "reason",
    [
        "",
        "  ",
        "two\nlines",
        "\x1b[2J",
        "a\x00",
        "tab\there",
        "\u202eright to left",
        "x" * (MAX_REASON + 1),
    ],
)
def test_a_reason_is_a_line_of_text(reason: str) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        _suspension("*", reason)

    assert caught.value.field == "suspension.reason"


def test_the_longest_reason_is_taken() -> None:
    assert _suspension("*", "\u00e4" * MAX_REASON).reason


def test_limits_of_an_owner_stand_in_place_of_the_deployments() -> None:
    controls = Controls().with_owner_limits(KEY.owner, STRICT)

    assert controls.limits_of(KEY.owner, DEFAULT) == STRICT
    assert controls.limits_of(OwnerName.parse("teams/alice", "owner"), DEFAULT) == DEFAULT


def test_an_owner_can_be_without_limits() -> None:
    controls = Controls().with_owner_limits(KEY.owner, Limits())

    assert controls.limits_of(KEY.owner, DEFAULT) == Limits()


def test_without_limits_of_its_own_an_owner_has_the_deployments() -> None:
    controls = Controls().with_owner_limits(KEY.owner, STRICT)

    assert controls.with_owner_limits(KEY.owner, None) == Controls()


def test_owners_with_limits_of_their_own_are_bounded_in_number() -> None:
    owners = [OwnerName.parse(f"users/u{n}", "owner") for n in range(MAX_OWNER_LIMITS)]
    full = Controls(owner_limits=dict.fromkeys(owners, STRICT))

    with pytest.raises(TooManySuspensionsError):
        full.with_owner_limits(KEY.owner, STRICT)
    changed = full.with_owner_limits(owners[0], DEFAULT)
    assert changed.limits_of(owners[0], STRICT) == DEFAULT


def test_what_is_about_an_owner_is_about_their_keys_too_and_about_nobody_else() -> None:
    mine = ["users/alice", "users/alice/keys/openai"]
    others = ["*", "teams/alice", "users/alice2/keys/openai", str(APP)]
    bob = OwnerName.parse("users/bob", "owner")
    controls = replace(
        _controls(*mine, *others), owner_limits={KEY.owner: STRICT, bob: DEFAULT}, revision=3
    )

    about, without = controls.about(KEY.owner), controls.without(KEY.owner)

    assert [str(subject) for subject in about.suspensions] == mine
    assert about.owner_limits == {KEY.owner: STRICT}
    assert [str(subject) for subject in without.suspensions] == others
    assert (without.owner_limits, without.revision) == ({bob: DEFAULT}, 3)
    assert without.without(KEY.owner) == without
