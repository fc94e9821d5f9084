from __future__ import annotations

import pytest

from gateway_svc.metrics import ModelLabel

LABEL = ModelLabel("gen_ai.request.model", ["gpt-4o", "gpt-4o-mini", "ft:gpt-4o"])


@pytest.mark.parametrize(
    ("model", "value"),
    [
        ("gpt-4o", "gpt-4o"),
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("gpt-4o-mini-2024-07-18", "gpt-4o-mini"),
        ("gpt-4o-0613", "gpt-4o"),
        ("ft:gpt-4o:acme:secret-project:abc123", "ft:gpt-4o"),
        ("", ""),
        ("gpt-4o-mine", "other"),
        ("ft:gpt-3:acme::abc", "other"),
        ("users/alice", "other"),
        ("gpt-4o-2024-08-06\n", "other"),
    ],
)
def test_a_model_counts_under_the_name_that_is_known(model: str, value: str) -> None:
    assert LABEL.value_of(model) == value
