from __future__ import annotations

import pytest

from keyturn_cli.standin.errors import error_of_key, mask_key
from keyturn_cli.standin.standin_keys import KeyKind


def test_a_masked_key_shows_its_first_8_and_last_4_characters() -> None:
    assert mask_key("sk-standin-x-abcd") == "sk-stand*****abcd"


@pytest.mark.parametrize("raw_key", ["", "a", "sk-123456789"])
def test_a_key_too_short_to_mask_is_hidden_whole(raw_key: str) -> None:
    assert mask_key(raw_key) == "*" * len(raw_key)


def test_only_a_key_that_works_or_worked_gives_no_error() -> None:
    served = [kind for kind in KeyKind if error_of_key(kind, "sk-", "req_1") is None]

    assert served == [KeyKind.WORKING, KeyKind.SOONREVOKED]
