from __future__ import annotations

import pytest

from gateway_svc.ext_authz.passing import headers_to_remove
from tests.unit.gateway_svc.ext_authz.envoy_question import HEADERS

SENT = tuple(HEADERS.items())


def test_what_openai_must_not_see_is_taken_off() -> None:
    removed = headers_to_remove(SENT, key_header="authorization", may_choose_account=False)

    assert removed == (
        "cookie",
        "openai-organization",
        "x-envoy-auth-partial-body",
        "x-envoy-retry-on",
        "x-forwarded-for",
        "x-keyturn-key",
    )


def test_the_header_of_the_key_is_replaced_and_never_taken_off() -> None:
    sent = (*SENT, ("x-aigw-api-key", "forged"))
    by_name = headers_to_remove(sent, key_header="authorization", may_choose_account=False)
    by_filter = headers_to_remove(sent, key_header="x-aigw-api-key", may_choose_account=False)

    assert ("authorization" in by_name, "x-aigw-api-key" in by_name) == (False, True)
    assert ("authorization" in by_filter, "x-aigw-api-key" in by_filter) == (True, False)


def test_an_account_passes_only_if_the_keys_owner_leaves_the_choice() -> None:
    removed = headers_to_remove(SENT, key_header="authorization", may_choose_account=True)

    assert "openai-organization" not in removed


@pytest.mark.parametrize(
    "name",
    [
        "api-key",
        "forwarded",
        "proxy-authorization",
        "x-api-key",
        "x-envoy-max-retries",
        "x-envoy-upstream-alt-stat-name",
        "x-forwarded-client-cert",
        "x-keyturn-owner-token",
        "x-keyturn-request-id",
        "x-real-ip",
    ],
)
def test_a_header_that_is_not_listed_does_not_pass(name: str) -> None:
    sent = (*SENT, (name, "x"))

    assert name in headers_to_remove(sent, key_header="authorization", may_choose_account=True)
