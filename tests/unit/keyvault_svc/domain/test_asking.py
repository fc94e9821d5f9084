from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from keyvault_svc.domain.ceilings import Ceilings
from keyvault_svc.domain.consent_rules import ConsentRules
from keyvault_svc.domain.errors import (
    ConsentTextOutdatedError,
    GrantExistsError,
    GrantRequestDecidedError,
    GrantRequestNotFoundError,
    KeyNotFoundError,
    NotTheOwnerError,
    TooManyGrantRequestsError,
)
from keyvault_svc.domain.events import EventType
from keyvault_svc.domain.grant import GrantTerms
from keyvault_svc.domain.grant_requests import (
    KEPT_FOR,
    MAX_OPEN_OF_REQUESTER,
    OPEN_FOR,
    GrantRequest,
    GrantRequestState,
)
from keyvault_svc.domain.names import GrantName, GrantRequestName, KeyName
from keyvault_svc.domain.person import Person
from svc_runtime.service_error import InvalidFieldError
from svc_runtime.vault.errors import VaultUnavailableError
from tests.fakes.fake_clock import START
from tests.unit.keyvault_svc.custody_stage import ALICE, REQUEST, TEXT, Stage
from tests.unit.keyvault_svc.samples import KEY, SEARCH, make_grant, make_record, make_terms

DEV = Person("dev")
REASON = "Answers questions about invoices."
NARROW = make_terms(models=("gpt-4o",))


async def _ask(stage: Stage, key: KeyName = KEY, person: Person = DEV) -> GrantRequestName:
    request = await stage.asking.ask(person, key, make_terms(), REASON, REQUEST)
    return GrantRequestName(key, request.request_id)


async def test_anybody_asks_and_the_owner_is_told() -> None:
    stage = Stage(make_record())

    name = await _ask(stage)

    (request,) = await stage.asking.list_requests(ALICE, KEY.owner, REQUEST)
    assert (request.terms, request.reason, request.requester) == (make_terms(), REASON, "dev")
    assert (request.create_time, request.state) == (START, GrantRequestState.OPEN)
    (event,) = stage.notifier.events
    assert (event.type, event.owner) == (EventType.GRANT_REQUESTED, KEY.owner)
    assert event.facts == {"request": str(name)}
    assert str(make_terms().app) in event.sentence


async def test_asking_is_the_same_whether_or_not_there_is_a_key() -> None:
    with_key, without = Stage(make_record()), Stage()

    asked = [
        replace(
            await stage.asking.ask(DEV, KEY, make_terms(), REASON, REQUEST), request_id="0" * 16
        )
        for stage in (with_key, without)
    ]

    assert asked[0] == asked[1]
    assert with_key.line.requests == without.line.requests


@pytest.mark.parametrize(
    "reason", ["", "too short", "x" * 501, "two\nlines of a reason", "\u202eab" * 9]
)
async def test_a_reason_is_one_readable_line(reason: str) -> None:
    stage = Stage()

    with pytest.raises(InvalidFieldError) as caught:
        await stage.asking.ask(DEV, KEY, make_terms(), reason, REQUEST)

    assert caught.value.field == "grant_request.reason"


async def test_nobody_asks_for_what_could_not_be_granted() -> None:
    stage = Stage(rules=ConsentRules(TEXT, Ceilings(models=("gpt-4o",))))

    with pytest.raises(InvalidFieldError):
        await stage.asking.ask(DEV, KEY, make_terms(), REASON, REQUEST)


async def test_who_asks_again_replaces_the_open_request() -> None:
    stage = Stage()
    await _ask(stage)

    again = await _ask(stage)

    (request,) = await stage.asking.list_requests(ALICE, KEY.owner, REQUEST)
    assert request.request_id == again.request_id


async def test_a_requester_has_ten_open_requests_to_an_owner_and_another_asks_on() -> None:
    stage = Stage()
    for number in range(MAX_OPEN_OF_REQUESTER):
        await _ask(stage, KeyName(KEY.owner, f"k{number}"))

    with pytest.raises(TooManyGrantRequestsError):
        await _ask(stage)

    await _ask(stage, person=Person("another"))


async def test_a_request_is_seen_by_who_asked_and_by_who_may_decide_and_by_nobody_else() -> None:
    stage = Stage()
    name = await _ask(stage)

    for person in (DEV, ALICE):
        assert (await stage.asking.get(person, name, REQUEST)).request_id == name.request_id
    for absent in (name, GrantRequestName(KEY, "f" * 16)):
        with pytest.raises(GrantRequestNotFoundError):
            await stage.asking.get(Person("mallory"), absent, REQUEST)
    other_key = replace(name, key=KeyName(KEY.owner, "other"))
    with pytest.raises(GrantRequestNotFoundError):
        await stage.asking.get(ALICE, other_key, REQUEST)


async def test_only_who_may_grant_lists_and_decides() -> None:
    stage = Stage(make_record())
    name = await _ask(stage)

    with pytest.raises(NotTheOwnerError):
        await stage.asking.list_requests(DEV, KEY.owner, REQUEST)
    with pytest.raises(NotTheOwnerError):
        await stage.asking.approve(DEV, name, None, TEXT.version, "", REQUEST)
    with pytest.raises(NotTheOwnerError):
        await stage.asking.decline(DEV, name, "", REQUEST)
    assert stage.stored().grants == ()


@pytest.mark.parametrize("terms", [None, NARROW], ids=["as asked", "narrowed"])
async def test_an_approval_makes_the_grant_and_says_so(terms: GrantTerms | None) -> None:
    stage = Stage(make_record())
    name = await _ask(stage)

    grant = await stage.asking.approve(ALICE, name, terms, TEXT.version, "Fine.", REQUEST)

    assert stage.stored().grants == (grant,)
    assert (grant.terms, grant.creator) == (terms or make_terms(), "alice")
    assert (grant.request_id, grant.consent_text_version) == (name.request_id, TEXT.version)
    request = await stage.asking.get(DEV, name, REQUEST)
    assert (request.state, request.grant_id) == (GrantRequestState.APPROVED, grant.grant_id)
    assert (request.decider, request.decide_time, request.answer) == ("alice", START, "Fine.")


async def test_what_is_granted_is_for_the_app_that_asked() -> None:
    stage = Stage(make_record())
    name = await _ask(stage)

    with pytest.raises(InvalidFieldError) as caught:
        await stage.asking.approve(ALICE, name, make_terms(SEARCH), TEXT.version, "", REQUEST)

    assert caught.value.field == "grant.app"


async def test_an_approval_agrees_to_the_text_in_force() -> None:
    stage = Stage(make_record())
    name = await _ask(stage)

    with pytest.raises(ConsentTextOutdatedError):
        await stage.asking.approve(ALICE, name, None, "2026-01", "", REQUEST)

    assert (await stage.asking.get(DEV, name, REQUEST)).is_open


async def test_a_request_that_cannot_become_a_grant_stays_open() -> None:
    stage = Stage(make_record(make_grant(1)))
    name = await _ask(stage)

    with pytest.raises(GrantExistsError):
        await stage.asking.approve(ALICE, name, None, TEXT.version, "", REQUEST)

    before = await stage.asking.get(ALICE, name, REQUEST)
    assert (before.state, before.decider) == (GrantRequestState.OPEN, "")
    await stage.consent.revoke_grant(ALICE, GrantName(KEY, make_grant(1).grant_id), REQUEST)
    await stage.asking.approve(ALICE, name, None, TEXT.version, "", REQUEST)


async def test_the_owner_of_no_such_key_learns_that_when_they_decide() -> None:
    stage = Stage()
    name = await _ask(stage)

    with pytest.raises(KeyNotFoundError):
        await stage.asking.approve(ALICE, name, None, TEXT.version, "", REQUEST)

    assert (await stage.asking.get(ALICE, name, REQUEST)).is_open


@pytest.mark.parametrize("is_answer_lost", [False, True])
@pytest.mark.parametrize("broken_request", range(1, 8))
async def test_an_approval_that_breaks_off_anywhere_leads_to_one_grant_when_repeated(
    broken_request: int, *, is_answer_lost: bool
) -> None:
    stage = Stage(make_record())
    name = await _ask(stage)
    stage.line.break_at(broken_request, is_answer_lost=is_answer_lost)
    try:
        await stage.asking.approve(ALICE, name, None, TEXT.version, "", REQUEST)
    except VaultUnavailableError:
        stage.line.mend()
    else:
        pytest.fail("fewer requests than this test breaks")

    if not (await stage.asking.get(ALICE, name, REQUEST)).grant_id:
        await stage.asking.approve(ALICE, name, None, TEXT.version, "", REQUEST)

    (grant,) = stage.stored().grants
    request = await stage.asking.get(ALICE, name, REQUEST)
    assert (request.state, request.grant_id) == (GrantRequestState.APPROVED, grant.grant_id)


async def test_an_approved_request_cannot_be_declined_even_while_its_grant_is_being_made() -> None:
    stage = Stage(make_record())
    name = await _ask(stage)
    refusals: list[type[Exception]] = []

    async def decline() -> None:
        try:
            await stage.asking.decline(ALICE, name, "", REQUEST)
        except GrantRequestDecidedError as error:
            refusals.append(type(error))

    stage.line.before("write record", decline)

    grant = await stage.asking.approve(ALICE, name, None, TEXT.version, "", REQUEST)

    assert refusals == [GrantRequestDecidedError]
    assert stage.stored().grants == (grant,)


async def test_two_approvals_at_once_lead_to_one_grant() -> None:
    stage = Stage(make_record())
    name = await _ask(stage)
    stage.line.before(
        "write record",
        lambda: stage.asking.approve(ALICE, name, None, TEXT.version, "", REQUEST),
    )

    grant = await stage.asking.approve(ALICE, name, NARROW, TEXT.version, "", REQUEST)

    assert stage.stored().grants == (grant,)


async def test_a_decided_request_is_not_decided_again() -> None:
    stage = Stage(make_record())
    approved, declined = await _ask(stage), await _ask(stage, person=Person("another"))
    await stage.asking.approve(ALICE, approved, None, TEXT.version, "", REQUEST)
    answer = await stage.asking.decline(ALICE, declined, "Use the other one.", REQUEST)

    for name in (approved, declined):
        with pytest.raises(GrantRequestDecidedError):
            await stage.asking.approve(ALICE, name, None, TEXT.version, "", REQUEST)
    with pytest.raises(GrantRequestDecidedError):
        await stage.asking.decline(ALICE, approved, "", REQUEST)
    assert (answer.state, answer.answer) == (GrantRequestState.DECLINED, "Use the other one.")
    assert await stage.asking.decline(ALICE, declined, "", REQUEST) == answer


async def test_an_answer_is_one_readable_line() -> None:
    stage = Stage()
    name = await _ask(stage)

    with pytest.raises(InvalidFieldError) as caught:
        await stage.asking.decline(ALICE, name, "no\x1b[2J", REQUEST)

    assert caught.value.field == "answer"


async def test_an_open_request_ends_by_itself() -> None:
    stage = Stage(make_record())
    name = await _ask(stage)
    stage.clock.advance(OPEN_FOR.total_seconds())

    assert await stage.asking.list_requests(ALICE, KEY.owner, REQUEST) == ()
    with pytest.raises(GrantRequestNotFoundError):
        await stage.asking.approve(ALICE, name, None, TEXT.version, "", REQUEST)


async def test_a_decided_request_is_kept_for_a_while() -> None:
    stage = Stage()
    name = await _ask(stage)
    stage.clock.advance((OPEN_FOR - timedelta(seconds=1)).total_seconds())
    await stage.asking.decline(ALICE, name, "", REQUEST)

    stage.clock.advance((KEPT_FOR - timedelta(seconds=1)).total_seconds())
    kept: tuple[GrantRequest, ...] = await stage.asking.list_requests(ALICE, KEY.owner, REQUEST)
    stage.clock.advance(1)

    assert [request.request_id for request in kept] == [name.request_id]
    assert await stage.asking.list_requests(ALICE, KEY.owner, REQUEST) == ()


async def test_two_who_ask_at_once_are_both_heard() -> None:
    stage = Stage()
    stage.line.before("write requests", lambda: _ask(stage, person=Person("another")))

    await _ask(stage)

    requests = await stage.asking.list_requests(ALICE, KEY.owner, REQUEST)
    assert [request.requester for request in requests] == ["another", "dev"]


async def test_erasing_an_owner_erases_the_requests_to_them() -> None:
    stage = Stage(make_record())
    await _ask(stage)

    await stage.erasure.erase(ALICE, KEY.owner, REQUEST)

    assert stage.requests.stored == {}
