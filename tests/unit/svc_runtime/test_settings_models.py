from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError
from pydantic_settings import SettingsConfigDict

from svc_runtime.settings_models import (
    HTTPSURL,
    Address,
    ServiceSettings,
    SettingsError,
    VaultLoginSettings,
    VaultSettings,
)

ADDRESS: TypeAdapter[str] = TypeAdapter(Address)
URL: TypeAdapter[str] = TypeAdapter(HTTPSURL)


class Example(ServiceSettings):
    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, env_nested_delimiter="__", env_prefix="KEYTURN_EXAMPLE_"
    )

    name: str
    count: int = 1


class VaultExample(ServiceSettings):
    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, env_nested_delimiter="__", env_prefix="KEYTURN_EXAMPLE_"
    )

    vault: VaultSettings
    maintenance: VaultLoginSettings | None = None


ADDRESS_LINE = 'address = "https://vault.example:8200"'
JWT = '{ role = "r", token_file = "jwt" }'
TOKEN = '{ file = "token" }'


def _file(folder: Path, content: str | bytes) -> Path:
    path = folder / "example.toml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def _refusal(path: Path) -> SettingsError:
    with pytest.raises(SettingsError) as caught:
        Example.load(path)
    return caught.value


def test_settings_are_read_from_the_file(tmp_path: Path) -> None:
    settings = Example.load(_file(tmp_path, 'name = "a"\ncount = 2'))

    assert (settings.name, settings.count) == ("a", 2)


def test_settings_never_change(tmp_path: Path) -> None:
    settings = Example.load(_file(tmp_path, 'name = "a"'))

    with pytest.raises(ValidationError):
        settings.name = "b"


def test_the_environment_wins_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEYTURN_EXAMPLE_COUNT", "7")

    assert Example.load(_file(tmp_path, 'name = "a"\ncount = 2')).count == 7


def test_a_dotenv_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("KEYTURN_EXAMPLE_COUNT=7\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)

    assert Example.load(_file(tmp_path, 'name = "a"')).count == 1


def test_every_problem_is_named_and_no_input_is_repeated(tmp_path: Path) -> None:
    error = _refusal(_file(tmp_path, 'count = "canary"\nother = "canary"'))

    assert str(error) == (
        "name: Field required; "
        "count: Input should be a valid integer, unable to parse string as an integer; "
        "other: Extra inputs are not permitted"
    )


@pytest.mark.parametrize(
    "content", ["canary", 'name = "canary', b"\xff\xfecanary", "[name\ncanary"], ids=range(4)
)
def test_what_is_no_toml_is_refused_without_being_repeated(
    tmp_path: Path, content: str | bytes
) -> None:
    path = _file(tmp_path, content)

    error = _refusal(path)

    assert str(error) == f"{path}: is not a TOML file"
    assert error.__context__ is None


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "absent.toml"

    assert str(_refusal(path)) == f"{path}: No such file or directory"


def test_a_folder_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    assert str(_refusal(tmp_path)) == f"{tmp_path}: Is a directory"


@pytest.mark.parametrize(
    "address", ["127.0.0.1:0", "localhost:8443", ":443", "[::1]:8443", "[2001:db8::1]:65535"]
)
def test_an_address_is_host_and_port(address: str) -> None:
    assert ADDRESS.validate_python(address) == address


@pytest.mark.parametrize(
    "address",
    ["", "localhost", "localhost:", "localhost:http", "::1:8443", "a b:1", "x:123456", "a:1\n"],
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ValidationError):
        ADDRESS.validate_python(address)


@pytest.mark.parametrize("url", ["https://a", "https://a:8200/v1/x", "https://[::1]:8200"])
def test_a_url_of_a_peer_is_https(url: str) -> None:
    assert URL.validate_python(url) == url


@pytest.mark.parametrize(
    "url",
    ["", "http://a", "a", "https://", "https:///x", "https://a?x", "https://a#x", "https://a\n"],
)
def test_no_other_url_of_a_peer_is_accepted(url: str) -> None:
    with pytest.raises(ValidationError):
        URL.validate_python(url)


@pytest.mark.parametrize(
    ("logins", "given"),
    [
        ("", "none"),
        (f"jwt = {JWT}\ntoken = {TOKEN}", "jwt, token"),
    ],
)
def test_exactly_one_login_must_be_given(tmp_path: Path, logins: str, given: str) -> None:
    path = _file(tmp_path, f"[vault]\n{ADDRESS_LINE}\n{logins}")

    with pytest.raises(SettingsError) as caught:
        VaultExample.load(path)

    assert str(caught.value) == (
        "vault: Value error, exactly one of the tables approle, kubernetes, certificate, jwt, "
        f"token must be given; given: {given}"
    )


def test_a_section_of_its_own_names_a_login_too(tmp_path: Path) -> None:
    path = _file(tmp_path, f"[vault]\n{ADDRESS_LINE}\njwt = {JWT}\n[maintenance]\ntoken = {TOKEN}")

    settings = VaultExample.load(path)

    assert settings.vault.jwt is not None
    assert settings.maintenance is not None
    assert settings.maintenance.token is not None
    assert settings.maintenance.token.file == Path("token")


def test_the_environment_may_give_the_login(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEYTURN_EXAMPLE_VAULT__KUBERNETES__ROLE", "keyvault-svc")

    settings = VaultExample.load(_file(tmp_path, f"[vault]\n{ADDRESS_LINE}"))

    assert settings.vault.kubernetes is not None
    assert settings.vault.kubernetes.role == "keyvault-svc"
