from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway_svc.http.measuring import measure, route_of
from tests.fakes.figures import Figures, measured_figures

COUNT = "http_server_request_duration_seconds_count"
REFUSALS = "keyturn_refusals_total"


@pytest.fixture
def figures() -> Iterator[Figures]:
    with measured_figures() as figures:
        yield figures


@pytest.mark.parametrize(
    ("endpoint", "route"),
    [
        ("chat/completions", "/v1/chat/completions"),
        ("chat/completions/chatcmpl-1", "/v1/chat/*"),
        ("files/file-of-alice/content", "/v1/files/*"),
        ("models", "/v1/models"),
        ("models/gpt-4o", "/v1/models/*"),
        ("organization/admin_api_keys", "other"),
        ("alice", "other"),
        ("", "other"),
    ],
)
def test_a_route_names_nothing_that_an_app_chose(endpoint: str, route: str) -> None:
    assert route_of(endpoint) == route


def test_a_request_is_measured_by_method_route_and_status(figures: Figures) -> None:
    measure("POST", {"endpoint": "chat/completions"}, {"code": "200"}, 0.2)

    assert figures.of(COUNT) == {
        (
            ("http_request_method", "POST"),
            ("http_response_status_code", "200"),
            ("http_route", "/v1/chat/completions"),
        ): 1
    }
    assert figures.of(REFUSALS) == {}


def test_a_refusal_is_counted_by_its_reason(figures: Figures) -> None:
    measure("GET", {}, {"code": "401", "reason": "CALLER_UNVERIFIED"}, 0.2)

    assert figures.of(REFUSALS) == {(("reason", "CALLER_UNVERIFIED"),): 1}


def test_the_reason_of_a_session_that_was_ended_counts(figures: Figures) -> None:
    measure("GET", {"reason": "GRANT_REVOKED"}, {"code": "101"}, 0.2)

    assert figures.of(REFUSALS) == {(("reason", "GRANT_REVOKED"),): 1}


@pytest.mark.parametrize("code", ["CLIENT_GONE", "ANSWER_NOT_TAKEN", "ABORTED"])
def test_a_request_that_got_no_answer_has_no_status(code: str, figures: Figures) -> None:
    measure("GET", {}, {"code": code}, 0.2)

    assert figures.of(COUNT) == {(("http_request_method", "GET"), ("http_route", "other")): 1}


def test_a_method_that_an_app_made_up_counts_as_other(figures: Figures) -> None:
    measure("ALICE", {}, {"code": "404"}, 0.2)

    (labels,) = figures.of(COUNT)
    assert dict(labels)["http_request_method"] == "other"
