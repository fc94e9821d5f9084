from __future__ import annotations

import pytest

from keyturn_cli.command_error import CommandError
from keyturn_cli.exit_codes import ExitCode
from keyturn_cli.local.upstream import Upstream
from keyturn_cli.standin.standin_keys import KeyKind, check_key

URL = "KEYTURN_OPENAI_BASE_URL"


def test_without_variables_the_stand_in_is_called_with_a_key_that_it_knows() -> None:
    upstream = Upstream.of({})

    assert (upstream.base_url, upstream.key_id, upstream.is_own_key) == (None, "standin", False)
    assert check_key(upstream.api_key.expose()) is KeyKind.WORKING


def test_an_own_key_calls_openai_under_a_name_of_its_own() -> None:
    upstream = Upstream.of({"OPENAI_API_KEY": " sk-own \n"})

    assert upstream.base_url == "https://api.openai.com/v1"
    assert (upstream.key_id, upstream.is_own_key) == ("openai", True)
    assert upstream.api_key.expose() == b"sk-own"
    assert "sk-own" not in repr(upstream)


def test_an_own_key_goes_where_the_user_says() -> None:
    upstream = Upstream.of({"OPENAI_API_KEY": "sk-own", URL: "https://proxy.example/openai/v1"})

    assert (upstream.base_url, upstream.is_own_key) == ("https://proxy.example/openai/v1", True)


def test_another_upstream_without_a_key_gets_a_stand_in_s() -> None:
    upstream = Upstream.of({URL: "http://127.0.0.1:8080/v1"})

    assert (upstream.base_url, upstream.key_id) == ("http://127.0.0.1:8080/v1", "standin")


def test_variables_of_the_openai_sdk_do_not_send_the_key_elsewhere() -> None:
    upstream = Upstream.of({"OPENAI_API_KEY": "sk-own", "OPENAI_BASE_URL": "https://evil.example"})

    assert upstream.base_url == "https://api.openai.com/v1"


@pytest.mark.parametrize("variable", ["OPENAI_API_KEY", URL])
def test_an_empty_variable_is_as_none(variable: str) -> None:
    upstream = Upstream.of({variable: "  "})

    assert (upstream.base_url, upstream.key_id) == (None, "standin")


@pytest.mark.parametrize(
    "url",
    [
        "https://api.openai.com",
        "https://10.0.0.7:8443/v1",
        "http://127.0.0.1:8080",
        "http://127.8.9.10/v1",
        "http://localhost:1/v1",
        "http://[::1]:8080/v1",
    ],
)
def test_an_encrypted_upstream_or_one_of_this_machine_is_taken(url: str) -> None:
    assert Upstream.of({URL: url}).base_url == url


@pytest.mark.parametrize(
    "url",
    [
        "http://api.openai.com/v1",
        "http://10.0.0.7/v1",
        "http://localhost.evil.example/v1",
        "http://127.0.0.1.evil.example/v1",
        "http://127.0.0.1@evil.example/v1",
        "https://user:hunter2@proxy.example/v1",  # pragma: allowlist secret
        "https://proxy.example/v1?key=hunter2",
        "https://proxy.example/v1#hunter2",
        "https://proxy.example:99999/v1",
        "https://[::1/v1",
        "https:///v1",
        "ftp://127.0.0.1/hunter2",
        "api.openai.com",
    ],
)
def test_any_other_upstream_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(CommandError, match=f"^{URL}: must be an https URL") as caught:
        Upstream.of({URL: url})

    assert caught.value.exit_code is ExitCode.USAGE
    assert url not in caught.value.format_message() + caught.value.hint
    assert "hunter2" not in caught.value.format_message() + caught.value.hint
