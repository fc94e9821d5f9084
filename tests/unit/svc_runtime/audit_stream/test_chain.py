"""The format of a chain of audited lines."""

from __future__ import annotations

import json

import pytest

from svc_runtime.audit_stream.chain import (
    NO_LINE,
    Attestation,
    Chain,
    Head,
    digest_of,
    parse_request_id,
)

_DIGEST = "0123456789abcdef" * 4


def test_a_chain_is_named_after_its_service_and_no_two_are_named_alike() -> None:
    first, second = Chain("test-svc").head.chain, Chain("test-svc").head.chain

    assert first != second
    assert first.startswith("test-svc-")


def test_before_its_first_line_a_chain_has_no_line() -> None:
    head = Chain("test-svc").head

    assert (head.seq, head.digest) == (0, NO_LINE)


def test_a_line_says_where_in_which_chain_it_is() -> None:
    chain = Chain("test-svc")

    line = json.loads(chain.link('{"event": "a"}'))

    assert line == {"event": "a", "chain": chain.head.chain, "seq": 1, "prev": NO_LINE}


def test_a_line_holds_the_hash_of_the_one_before_it() -> None:
    chain = Chain("test-svc")
    first = chain.link('{"event": "a"}')

    second = json.loads(chain.link('{"event": "b"}'))

    assert (second["seq"], second["prev"]) == (2, digest_of(first.rstrip(b"\n")))


def test_the_head_is_the_last_line() -> None:
    chain = Chain("test-svc")
    chain.link('{"event": "a"}')
    last = chain.link('{"event": "b"}')

    assert (chain.head.seq, chain.head.digest) == (2, digest_of(last[:-1]))


def test_what_is_signed_names_chain_number_and_hash() -> None:
    message = Head("test-svc-0011223344556677", 12, _DIGEST).message()

    assert message == f"keyturn-audit-v1\ntest-svc-0011223344556677\n12\n{_DIGEST}".encode()


def test_the_request_id_of_a_signature_attests_chain_number_and_hash() -> None:
    head = Head("gateway-svc-0011223344556677", 12, _DIGEST)

    attested = parse_request_id(head.request_id())

    assert attested == Attestation("gateway-svc", head.chain, 12, _DIGEST[:16])


def test_the_request_id_of_a_long_chain_is_as_long_as_request_ids_may_be() -> None:
    assert len(Head("keyvault-svc-0011223344556677", 99_999_999, _DIGEST).request_id()) <= 64


@pytest.mark.parametrize(
    "request_id",
    [
        "",
        "chain",
        "0f3f78b775e040c28dbc45a6f494079c",
        "chain.gateway-svc-0011223344556677.0.0123456789abcdef",
        "chain.gateway-svc-0011223344556677.12",
        "chain.gateway-svc-0011223344556677.12.0123456789abcdeF",
        "chain.gateway-svc.12.0123456789abcdef",
        "chain.gateway-svc-0011223344556677.12.0123456789abcdef0",
    ],
)
def test_any_other_request_id_attests_nothing(request_id: str) -> None:
    assert parse_request_id(request_id) is None
