from __future__ import annotations

import string
from dataclasses import replace
from datetime import timedelta

import pytest

from keyvault_svc.domain.events import MAX_FACT_CHARS, WORDING, Event, EventType, Wording
from keyvault_svc.domain.names import OwnerKind, OwnerName
from tests.fakes.fake_clock import START

KEY = "users/alice/keys/openai"
SUBJECTS = {"owner", "key", "grant", "app"}
EVERY_TYPE = pytest.mark.parametrize("event_type", list(EventType))


def _event(event_type: EventType, **facts: str) -> Event:
    return Event(
        event_type,
        OwnerName(OwnerKind.USER, "alice"),
        KEY,
        f"{KEY}/grants/0123456789abcdef",
        "spiffe://example.org/app",
        START,
        facts,
    )


def _placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def test_every_type_has_words() -> None:
    assert set(WORDING) == set(EventType)


@EVERY_TYPE
def test_the_words_use_known_subjects_and_every_fact(event_type: EventType) -> None:
    wording = WORDING[event_type]
    texts = [t for w in (wording, *wording.variants.values()) for t in (w.title, w.sentence)]

    used = {name for text in texts for name in _placeholders(text)}

    # The first fact chooses among variants, so that it needs not stand in them.
    chooser = set(wording.facts[:1]) if wording.variants else set()
    assert (used - SUBJECTS) | chooser == set(wording.facts)


@EVERY_TYPE
def test_what_makes_an_occasion_is_told(event_type: EventType) -> None:
    assert set(WORDING[event_type].occasion) <= set(WORDING[event_type].facts)


@EVERY_TYPE
def test_the_sentence_says_what_happened_and_what_to_do(event_type: EventType) -> None:
    sentence = _event(event_type).sentence

    assert sentence.endswith(".")
    assert sentence.count(". ") >= 1
    assert "{" not in sentence


@EVERY_TYPE
def test_a_title_fits_a_subject_line(event_type: EventType) -> None:
    assert 0 < len(_event(event_type).title) <= 60


def test_facts_stand_in_the_sentence() -> None:
    event = _event(EventType.GRANT_NEW_NETWORK, network="192.0.2.0/24")

    assert event.sentence == (
        "The app spiffe://example.org/app used users/alice/keys/openai from 192.0.2.0/24, where it "
        "did not call from before. If you do not expect this, revoke the grant "
        "users/alice/keys/openai/grants/0123456789abcdef, or narrow it to the networks you know."
    )


@pytest.mark.parametrize(
    ("event_type", "facts", "title", "words"),
    [
        (EventType.KEY_REJECTED, {"place": "current"}, "rejected a key", "apps cannot use it"),
        (EventType.KEY_REJECTED, {"place": "incoming"}, "of a rotation", "version before stays"),
        (EventType.KEY_DUE, {"due": "rotation"}, "A key is due", "is to be rotated by"),
        (EventType.KEY_DUE, {"due": "expiry"}, "A key expires", "openai expires on"),
        (EventType.KEY_DUE, {"due": "grant_end"}, "A grant ends", "0123456789abcdef of the app"),
    ],
)
def test_the_first_fact_chooses_the_words(
    event_type: EventType, facts: dict[str, str], title: str, words: str
) -> None:
    event = _event(event_type, **facts)

    assert title in event.title
    assert words in event.sentence


@pytest.mark.parametrize(
    "wording", [v for w in WORDING.values() for v in w.variants.values()], ids=lambda w: w.title
)
def test_a_variant_is_whole(wording: Wording) -> None:
    assert 0 < len(wording.title) <= 60
    assert wording.sentence.endswith(".")
    assert wording.sentence.count(". ") >= 1
    assert wording.facts == wording.occasion == ()


def test_events_about_two_versions_of_a_key_are_two() -> None:
    one, other = (_event(EventType.KEY_REJECTED, version=version) for version in "12")

    assert one.occasion != other.occasion


def test_a_missing_fact_is_told_as_unknown() -> None:
    assert "from unknown. If" in _event(EventType.GRANT_FIRST_USED).sentence


def test_a_fact_that_is_not_named_is_not_told() -> None:
    event = _event(EventType.KEY_REJECTED, body="what OpenAI said")

    assert "body" not in event.told_facts()


def test_a_fact_cannot_name_another_one() -> None:
    event = _event(EventType.ANOMALY, what="{key.__class__}")

    assert "way: {key.__class__}. If" in event.sentence


@pytest.mark.parametrize(
    "control", ["\r\n", "\x00", "\u2028", "\u202e", "\x1b"], ids=["CRLF", "NUL", "LS", "RLO", "ESC"]
)
def test_a_fact_cannot_break_a_line_or_turn_it_around(control: str) -> None:
    event = _event(EventType.ANOMALY, what=f"a{control}b")

    assert event.told_facts() == {"what": "ab"}


def test_a_fact_is_told_in_bounded_length() -> None:
    event = _event(EventType.ANOMALY, what="x" * 10_000)

    assert event.told_facts() == {"what": "x" * MAX_FACT_CHARS}


def test_the_same_event_has_the_same_id() -> None:
    one, other = (_event(EventType.ANOMALY, what="bursts") for _ in range(2))

    assert one.event_id == other.event_id
    assert len(one.event_id) == 32


@pytest.mark.parametrize(
    "change",
    [
        {"type": EventType.GRANT_CHANGED},
        {"owner": OwnerName(OwnerKind.TEAM, "alice")},
        {"key": "users/alice/keys/other"},
        {"grant": ""},
        {"app": ""},
        {"time": START + timedelta(microseconds=1)},
        {"facts": {"what": "other"}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_event_has_another_id(change: dict[str, object]) -> None:
    event = _event(EventType.ANOMALY, what="bursts")

    assert replace(event, **change).event_id != event.event_id  # type: ignore[arg-type]  # one field each


def test_a_revocation_does_not_repeat_the_narrowing_before_it() -> None:
    narrowed = _event(EventType.GRANT_CHANGED, change="narrowed", by="users/alice")
    revoked = _event(EventType.GRANT_CHANGED, change="revoked", by="users/alice")

    assert narrowed.occasion != revoked.occasion


def test_each_further_network_of_a_grant_repeats_the_news() -> None:
    one = _event(EventType.GRANT_NEW_NETWORK, network="192.0.2.0/24")
    other = _event(EventType.GRANT_NEW_NETWORK, network="198.51.100.0/24")

    assert one.occasion == other.occasion
