from __future__ import annotations

from dataclasses import replace
from datetime import UTC

import pytest

from keyturn.keyvault.v1 import grant_request_service_pb2 as request_pb
from keyvault_svc.domain.grant_requests import GrantRequest, GrantRequestState
from keyvault_svc.rpc.grant_messages import grant_terms
from keyvault_svc.rpc.grant_request_messages import grant_request_message
from tests.fakes.fake_clock import START
from tests.unit.keyvault_svc.samples import KEY, make_terms

REQUEST = GrantRequest("0" * 16, KEY, make_terms(), "Sorts invoices", "dev", START)


def test_an_open_request_says_what_is_asked_and_nothing_of_a_grant() -> None:
    message = grant_request_message(REQUEST)

    assert message.name == f"{KEY}/grantRequests/{'0' * 16}"
    assert grant_terms(message.grant) == make_terms()
    assert (message.grant.name, message.grant.creator) == ("", "")
    assert not message.grant.HasField("create_time")
    assert (message.reason, message.requester) == ("Sorts invoices", "dev")
    assert message.state == request_pb.GRANT_REQUEST_STATE_OPEN
    assert message.create_time.ToDatetime(UTC) == START
    assert (message.HasField("decide_time"), message.granted) == (False, "")


def test_a_decided_request_says_who_and_what() -> None:
    approved = REQUEST.approved("alice", "Fine.", START).granted("1" * 16)

    message = grant_request_message(approved)

    assert (message.decider, message.answer) == ("alice", "Fine.")
    assert message.decide_time.ToDatetime(UTC) == START
    assert message.granted == f"{KEY}/grants/{'1' * 16}"


@pytest.mark.parametrize("state", GrantRequestState)
def test_every_state_has_its_word(state: GrantRequestState) -> None:
    message = grant_request_message(replace(REQUEST, state=state))

    assert request_pb.GrantRequestState.Name(message.state) == f"GRANT_REQUEST_STATE_{state.name}"
