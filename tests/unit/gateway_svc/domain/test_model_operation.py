from __future__ import annotations

import pytest

from gateway_svc.domain.endpoint import Endpoint
from gateway_svc.domain.model_operation import OPERATIONS, OTHER_OPERATION, operation_of


@pytest.mark.parametrize(
    ("method", "endpoint", "operation"),
    [
        ("POST", "chat/completions", "chat"),
        ("POST", "responses", "chat"),
        ("POST", "embeddings", "embeddings"),
        ("WEBSOCKET", "realtime", "realtime"),
        ("WEBSOCKET", "responses", "realtime"),
        ("GET", "files/file-1", "other"),
        ("GET", "responses", "other"),
    ],
)
def test_an_operation_is_a_word_of_a_closed_set(method: str, endpoint: str, operation: str) -> None:
    assert operation_of(method, Endpoint.parse(endpoint).name) == operation
    assert operation in {*OPERATIONS, OTHER_OPERATION}
