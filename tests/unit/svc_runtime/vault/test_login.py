from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.vault.errors import VaultBadRequestError, VaultLoginError
from svc_runtime.vault.login import VaultToken, read_credential, token_of

AUTH = {"client_token": "s.token", "accessor": "a", "lease_duration": 900, "renewable": True}


def test_a_token_is_read_from_a_login() -> None:
    token = VaultToken.from_answer({"auth": AUTH})

    assert token == VaultToken(SecretBytes(b"s.token"), "a", 900, is_renewable=True)


def test_a_token_is_not_printed() -> None:
    assert "s.token" not in repr(VaultToken.from_answer({"auth": AUTH}))


@pytest.mark.parametrize("accessor", [{}, {"accessor": None}, {"accessor": ""}])
def test_a_batch_token_has_no_accessor(accessor: dict[str, Any]) -> None:
    auth = {**{k: v for k, v in AUTH.items() if k != "accessor"}, **accessor}

    assert VaultToken.from_answer({"auth": auth}).accessor == ""


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"auth": None},
        {"auth": {**AUTH, "client_token": ""}},
        {"auth": {**AUTH, "client_token": "tök"}},
        {"auth": {**AUTH, "lease_duration": "900"}},
        {"auth": {"client_token": "s.token"}},
    ],
)
def test_an_answer_without_a_usable_token_is_no_login(answer: dict[str, Any]) -> None:
    with pytest.raises(VaultLoginError):
        VaultToken.from_answer(answer)


def test_a_credential_is_read_without_its_newline(tmp_path: Path) -> None:
    path = tmp_path / "secret-id"
    path.write_bytes(b"credential\r\n")

    assert read_credential(path) == SecretBytes(b"credential")


@pytest.mark.parametrize("content", [b"", b" \n", b"\xff\xfe", "schlüssel".encode()])
def test_a_credential_that_is_empty_or_not_ascii_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "secret-id"
    path.write_bytes(content)

    with pytest.raises(VaultLoginError) as caught:
        read_credential(path)
    assert caught.value.__context__ is None


def test_a_missing_credential_file_is_a_failed_login(tmp_path: Path) -> None:
    with pytest.raises(VaultLoginError):
        read_credential(tmp_path / "nowhere")


async def test_a_refusal_holds_nothing_of_the_answer() -> None:
    async def refused() -> dict[str, Any]:
        raise VaultBadRequestError

    with pytest.raises(VaultLoginError, match="refused the credential") as caught:
        await token_of(refused())

    assert caught.value.__context__ is None
