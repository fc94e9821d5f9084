from __future__ import annotations

import httpx2
import pytest

from gateway_svc.openai_api.one_time_auth import OneTimeAuth
from svc_runtime.secret_bytes import SecretBytes

KEY = SecretBytes(b"sk-admin-canary-0123456789")
URL = "https://api.openai.com/v1/organization/usage/completions"


def _request() -> httpx2.Request:
    headers = {
        "authorization": "Bearer placeholder",
        "openai-organization": "org-environment",
        "x-stainless-os": "Linux",
        "accept": "application/json",
    }
    return httpx2.Request("GET", URL, headers=headers)


def test_the_key_is_in_the_request_only_while_it_is_sent() -> None:
    request = _request()
    flow = OneTimeAuth(KEY).auth_flow(request)

    sent = next(flow)
    assert sent.headers["authorization"] == "Bearer sk-admin-canary-0123456789"
    with pytest.raises(StopIteration):
        flow.send(httpx2.Response(200))

    assert "authorization" not in request.headers


def test_a_request_that_fails_does_not_keep_the_key() -> None:
    request = _request()
    flow = OneTimeAuth(KEY).auth_flow(request)
    next(flow)

    flow.close()

    assert "authorization" not in request.headers


def test_only_headers_that_openai_needs_are_sent() -> None:
    flow = OneTimeAuth(KEY).auth_flow(_request())

    sent = next(flow)

    assert set(sent.headers) == {"accept", "authorization", "host", "user-agent"}
    assert sent.headers["user-agent"] == "keyturn-gateway"


def test_the_key_is_for_one_request() -> None:
    auth = OneTimeAuth(KEY)
    next(auth.auth_flow(_request()))

    with pytest.raises(httpx2.RequestError):
        next(auth.auth_flow(_request()))
