from __future__ import annotations

import pytest

from keyturn_cli.standin.named_errors import (
    abbreviate_key,
    error_of_key,
    error_of_model,
    mask_key,
)
from keyturn_cli.standin.standin_keys import KeyKind


def test_a_masked_key_shows_its_first_8_and_last_4_characters() -> None:
    assert mask_key("sk-standin-x-abcd") == "sk-stand*****abcd"


@pytest.mark.parametrize("raw_key", ["", "a", "sk-123456789"])
def test_a_key_too_short_to_mask_is_hidden_whole(raw_key: str) -> None:
    assert mask_key(raw_key) == "*" * len(raw_key)


def test_only_a_key_that_works_or_worked_gives_no_error() -> None:
    served = [kind for kind in KeyKind if error_of_key(kind, "sk-", "req_1") is None]

    assert served == [KeyKind.WORKING, KeyKind.SOONREVOKED]


_ECHOES = {
    "error-401-echo": "sk-stand***********abcd",
    "error-401-echo-dots": "sk-stand...abcd",
    "error-401-echo-ellipsis": "sk-stand\u2026abcd",
    "error-401-echo-bearer": "Bearer sk-stand***********abcd",
    "error-500-echo": "'sk-stand***********abcd'",
    "error-500-echo-ellipsis": "key=sk-stand\u2026abcd",
}


@pytest.mark.parametrize("model", _ECHOES)
def test_a_model_that_echoes_shows_the_key_in_its_own_spelling(model: str) -> None:
    error = error_of_model(model, "sk-standin-nobody-xabcd", "req_1")

    assert error is not None
    assert error.status == int(model.split("-")[1])
    assert _ECHOES[model] in str(error.body())


def test_a_short_key_is_abbreviated_whole() -> None:
    assert abbreviate_key("sk-123456789", "...") == "..."


@pytest.mark.parametrize(("model", "should_retry"), [("retry", "true"), ("final", "false")])
def test_a_rate_limit_can_say_whether_to_retry(model: str, should_retry: str) -> None:
    error = error_of_model(f"error-429-{model}", "sk-", "req_1")

    assert error is not None
    assert error.headers["x-should-retry"] == should_retry
    assert error.headers["retry-after"] == "20"
