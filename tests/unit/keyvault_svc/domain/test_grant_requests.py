from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from keyvault_svc.domain.errors import TooManyGrantRequestsError
from keyvault_svc.domain.grant_requests import (
    MAX_CHARACTERS,
    MAX_KEPT,
    MAX_OPEN,
    MAX_REASON,
    MAX_TERMS,
    GrantRequest,
    GrantRequests,
    check_size,
)
from keyvault_svc.domain.names import KeyName
from svc_runtime.service_error import InvalidFieldError
from tests.fakes.fake_clock import START
from tests.unit.keyvault_svc.samples import KEY, make_terms


def _request(number: int, *, is_decided: bool = False, reason: str = "a reason") -> GrantRequest:
    key = KeyName(KEY.owner, f"k{number}")
    request = GrantRequest(
        f"{number:016x}", key, make_terms(), reason, f"dev{number}", START + timedelta(0, number)
    )
    return request.declined("alice", "", START) if is_decided else request


def _requests(*requests: GrantRequest) -> GrantRequests:
    return GrantRequests(KEY.owner, requests)


def test_an_owner_has_a_hundred_open_requests_at_most() -> None:
    full = _requests(*(_request(number) for number in range(MAX_OPEN)))

    with pytest.raises(TooManyGrantRequestsError):
        full.added(_request(MAX_OPEN))
    again = replace(_request(0), request_id="f" * 16)
    assert len(full.added(again).requests) == MAX_OPEN


def test_the_oldest_decided_requests_make_room_for_new_ones() -> None:
    decided = [_request(number, is_decided=True) for number in range(MAX_KEPT)]

    after = _requests(*decided).added(_request(MAX_KEPT))

    assert after.requests == (*decided[1:], _request(MAX_KEPT))


def test_long_requests_are_refused_before_they_outgrow_what_can_be_stored() -> None:
    long_reason = "x" * MAX_REASON
    requests = _requests()
    with pytest.raises(TooManyGrantRequestsError):  # noqa: PT012 - the last one is refused
        for number in range(MAX_OPEN):
            terms = make_terms(models=tuple(f"{'m' * 90}{i}" for i in range(20)))
            request = replace(_request(number, reason=long_reason), terms=terms)
            requests = requests.added(request)

    assert sum(request.size for request in requests.requests) <= MAX_CHARACTERS
    first = requests.requests[0]
    answered = requests.replaced(first.declined("alice", "y" * 500, START))
    assert answered.found(first.request_id, first.key).answer


def test_terms_of_a_request_are_short() -> None:
    check_size(make_terms())
    with pytest.raises(InvalidFieldError):
        check_size(make_terms(models=tuple(f"{'m' * 90}{i}" for i in range(MAX_TERMS // 90))))
