from __future__ import annotations

from pathlib import Path

import pytest

from keyturn_cli.client_settings import MADE_BY, OF_ISSUER, ClientSettings, read_env_file
from keyturn_cli.command_error import CommandError
from keyturn_cli.exit_codes import ExitCode


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (*MADE_BY, *OF_ISSUER, "KEYTURN_CLIENT_ENV"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)


def _write(path: Path, text: str, mode: int = 0o600) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def test_the_environment_wins_over_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _write(
        tmp_path / ".keyturn" / "client.env", "export KEYTURN_GRPC='a:1'\nVAULT_ADDR=https://v\n"
    )
    monkeypatch.setenv("KEYTURN_GRPC", "b:2")

    settings = ClientSettings.load()

    assert (settings.require("KEYTURN_GRPC"), settings.origin("KEYTURN_GRPC")) == (
        "b:2",
        "environment",
    )
    assert settings.require("VAULT_ADDR") == "https://v"


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _write(tmp_path / ".keyturn" / "client.env", "export KEYTURN_GRPC='a:1'\n")
    monkeypatch.setenv("KEYTURN_GRPC", "")

    assert ClientSettings.load().require("KEYTURN_GRPC") == "a:1"


@pytest.mark.parametrize("name", [*MADE_BY, *OF_ISSUER])
def test_a_missing_variable_is_named_with_what_makes_it(name: str) -> None:
    with pytest.raises(CommandError) as raised:
        ClientSettings.load().require(name)

    assert raised.value.exit_code == ExitCode.USAGE
    assert raised.value.text.startswith(f"{name} is set neither")
    assert "`keyturn l" in raised.value.hint


def test_a_named_file_that_is_not_there_is_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KEYTURN_CLIENT_ENV", str(tmp_path / "gone.env"))

    with pytest.raises(CommandError, match="KEYTURN_CLIENT_ENV"):
        ClientSettings.load()


def test_a_login_is_kept_beside_the_file_or_else_in_the_state_folder(tmp_path: Path) -> None:
    before = ClientSettings.load().owner_token_file
    _write(tmp_path / ".keyturn" / "client.env", "")

    assert before == tmp_path / "state" / "keyturn" / "owner-token"
    assert ClientSettings.load().owner_token_file == Path(".keyturn") / "owner-token"


@pytest.mark.parametrize("mode", [0o777, 0o500], ids=["shared", "read-only"])
def test_a_login_is_kept_in_the_state_folder_if_that_of_the_file_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mode: int
) -> None:
    folder = _write(tmp_path / "shared" / "client.env", "").parent
    folder.chmod(mode)
    monkeypatch.setenv("KEYTURN_CLIENT_ENV", str(folder / "client.env"))

    settings = ClientSettings.load()

    assert settings.owner_token_file.parent == tmp_path / "state" / "keyturn"
    assert settings.refresh_token_file.parent == tmp_path / "state" / "keyturn"
    assert settings.why_not_beside.startswith(f"{folder} can")


def test_each_shared_file_has_a_login_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kept = set()
    for name in ("one", "two"):
        file = _write(tmp_path / name / "client.env", "")
        file.parent.chmod(0o777)
        monkeypatch.setenv("KEYTURN_CLIENT_ENV", str(file))
        settings = ClientSettings.load()
        kept |= {settings.owner_token_file, settings.refresh_token_file}

    assert len(kept) == 4


def test_a_shared_file_is_the_same_however_it_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = _write(tmp_path / "shared" / "client.env", "")
    file.parent.chmod(0o777)
    kept = set()
    for name in (str(file), "shared/client.env"):
        monkeypatch.setenv("KEYTURN_CLIENT_ENV", name)
        kept.add(ClientSettings.load().owner_token_file)

    assert len(kept) == 1


def test_shell_syntax_is_read(tmp_path: Path) -> None:
    text = "# made by\n\nexport A='it'\\''s'\nexport B=\"x y\" C=z # why\nD=\n"

    values = read_env_file(_write(tmp_path / "client.env", text))

    assert values == {"A": "it's", "B": "x y", "C": "z", "D": ""}


@pytest.mark.parametrize("line", ["export A='x", "rm -rf x", "export 1A=x", "A = sekrit"])
def test_a_line_that_is_no_assignment_is_refused_by_number_without_its_value(
    tmp_path: Path, line: str
) -> None:
    with pytest.raises(CommandError, match="line 2") as raised:
        read_env_file(_write(tmp_path / "client.env", f"A=b\n{line}\n"))

    assert "sekrit" not in raised.value.text


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_may_write_is_not_trusted(tmp_path: Path, mode: int) -> None:
    with pytest.raises(CommandError, match="others may write"):
        read_env_file(_write(tmp_path / "client.env", "A=b\n", mode))
