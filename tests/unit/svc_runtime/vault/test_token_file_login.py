from __future__ import annotations

from typing import Any

import pytest

from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.vault.errors import VaultLoginError
from svc_runtime.vault.login import VaultToken
from svc_runtime.vault.token_file_login import _token_from_lookup

TOKEN = SecretBytes(b"s.token")
EXPIRE_TIME = "2026-01-01T00:00:00Z"


def test_a_token_of_a_file_is_neither_renewed_nor_revoked_by_us() -> None:
    data = {"ttl": 600, "accessor": "a", "expire_time": EXPIRE_TIME, "renewable": True}

    token = _token_from_lookup(TOKEN, {"data": data})

    assert token == VaultToken(TOKEN, "a", 600, is_renewable=False, is_ours=False)


@pytest.mark.parametrize(("expire_time", "ttl_seconds"), [(None, 0), (EXPIRE_TIME, 1)])
def test_a_token_about_to_expire_is_not_one_that_never_expires(
    expire_time: str | None, ttl_seconds: int
) -> None:
    token = _token_from_lookup(TOKEN, {"data": {"ttl": 0, "expire_time": expire_time}})

    assert token.ttl_seconds == ttl_seconds


@pytest.mark.parametrize("answer", [{}, {"data": None}, {"data": {"ttl": "600"}}, {"auth": {}}])
def test_an_answer_that_describes_no_token_is_no_login(answer: dict[str, Any]) -> None:
    with pytest.raises(VaultLoginError):
        _token_from_lookup(TOKEN, answer)
