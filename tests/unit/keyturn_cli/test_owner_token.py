from __future__ import annotations

import base64
import json
import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from keyturn_cli.client_settings import ClientSettings
from keyturn_cli.command_error import CommandError
from keyturn_cli.exit_codes import ExitCode
from keyturn_cli.owner_token import (
    OwnerToken,
    RefreshToken,
    find_owner_token,
    find_stored_login,
    forget_login,
    parse_owner_token,
    require_owner_token,
    store_owner_token,
)
from svc_runtime.secret_bytes import SecretBytes

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def _jwt(name: str, **claims: object) -> str:
    payload = json.dumps({"preferred_username": name, "exp": int(NOW.timestamp()) + 60} | claims)
    return f"e30.{base64.urlsafe_b64encode(payload.encode()).decode().rstrip('=')}.c2ln"


def _settings(
    tmp_path: Path, *, environment: str = "", stored: str = "", in_file: str = ""
) -> ClientSettings:
    settings = ClientSettings(
        env_file=tmp_path / "client.env",
        state_dir=tmp_path / "state",
        environment={"KEYTURN_OWNER_TOKEN": environment},
        file_values={"KEYTURN_OWNER_TOKEN": in_file},
    )
    if stored:
        settings.owner_token_file.write_text(stored + "\n")
    return settings


def test_a_token_tells_its_name_and_end(tmp_path: Path) -> None:
    token = find_owner_token(_settings(tmp_path, stored=_jwt("alice")))

    assert token is not None
    assert token.unverified_name == "alice"
    assert token.unverified_expire_time == NOW + timedelta(seconds=60)
    assert token.secret.expose() == _jwt("alice").encode()


@pytest.mark.parametrize(
    ("places", "winner"),
    [
        (("environment", "stored", "in_file"), "environment"),
        (("stored", "in_file"), "stored"),
        (("in_file",), "in_file"),
    ],
    ids=["environment", "login", "client.env"],
)
def test_the_environment_wins_then_the_login_then_the_file(
    tmp_path: Path, places: tuple[str, ...], winner: str
) -> None:
    token = find_owner_token(_settings(tmp_path, **{place: _jwt(place) for place in places}))

    assert token is not None
    assert token.unverified_name == winner


def test_without_a_token_one_must_log_in(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="not logged in") as raised:
        require_owner_token(_settings(tmp_path), NOW)

    assert raised.value.exit_code == ExitCode.REFUSED


def test_an_expired_login_is_not_replaced_by_another_token(tmp_path: Path) -> None:
    settings = _settings(
        tmp_path, stored=_jwt("alice", exp=int(NOW.timestamp())), in_file=_jwt("demo")
    )

    with pytest.raises(CommandError, match="expired"):
        require_owner_token(settings, NOW)


@pytest.mark.parametrize(
    "raw",
    ["opaque", "a.b", "a.!!.c", "e30.W10.c", _jwt("alice", exp="soon"), _jwt("alice", exp=1e30)],
    ids=["opaque", "two parts", "not base64", "not an object", "odd end", "endless"],
)
def test_what_is_no_id_token_is_refused_and_not_repeated(raw: str) -> None:
    with pytest.raises(CommandError) as raised:
        parse_owner_token(raw, "a test")

    assert raw not in raised.value.format_message()


def test_a_login_is_stored_for_this_user_only_and_replaces_the_one_before(tmp_path: Path) -> None:
    settings = replace(_settings(tmp_path), env_file=tmp_path / "missing" / "client.env")
    path = tmp_path / "state" / "owner-token"
    for name in ("alice", "bob"):
        store_owner_token(parse_owner_token(_jwt(name), "a test"), settings)

    assert path.read_text() == _jwt("bob") + "\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in path.parent.iterdir()] == ["owner-token"]


def _renewable(name: str) -> OwnerToken:
    refresh = RefreshToken(SecretBytes(b"r-1"), "https://issuer.example", "cli")
    return replace(parse_owner_token(_jwt(name), "a test"), refresh=refresh)


def test_what_renews_a_login_is_kept_likewise(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    store_owner_token(_renewable("alice"), settings)

    stored = find_stored_login(settings)
    assert stored is not None
    assert stored.refresh == _renewable("alice").refresh
    assert stat.S_IMODE(settings.refresh_token_file.stat().st_mode) == 0o600


def test_a_login_without_renewal_leaves_none_of_the_one_before(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    store_owner_token(_renewable("alice"), settings)
    store_owner_token(parse_owner_token(_jwt("bob"), "a test"), settings)

    stored = find_stored_login(settings)
    assert stored is not None
    assert (stored.unverified_name, stored.refresh) == ("bob", None)
    assert not settings.refresh_token_file.exists()


def _shared(tmp_path: Path) -> ClientSettings:
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o777)
    (folder / "client.env").touch()
    return replace(
        _settings(tmp_path), env_file=folder / "client.env", state_dir=tmp_path / "home" / "state"
    )


def test_nothing_of_a_login_is_kept_in_a_shared_folder(tmp_path: Path) -> None:
    settings = _shared(tmp_path)
    store_owner_token(_renewable("alice"), settings)

    modes = {p: stat.S_IMODE(p.stat().st_mode) for p in settings.state_dir.iterdir()}
    assert modes == {settings.owner_token_file: 0o600, settings.refresh_token_file: 0o600}
    assert stat.S_IMODE(settings.state_dir.stat().st_mode) == 0o700
    assert [p.name for p in settings.env_file.parent.iterdir()] == ["client.env"]
    assert find_stored_login(settings) is not None
    assert forget_login(settings)
    assert list(settings.state_dir.iterdir()) == []


def test_a_login_that_others_put_beside_a_shared_file_is_not_used(tmp_path: Path) -> None:
    settings = _shared(tmp_path)
    settings.env_file.with_name("owner-token").write_text(_jwt("mallory"))

    assert find_owner_token(settings) is None


def test_a_state_folder_that_others_may_write_neither_takes_nor_gives_a_login(
    tmp_path: Path,
) -> None:
    settings = _shared(tmp_path)
    settings.state_dir.mkdir(parents=True)
    settings.state_dir.chmod(0o777)

    with pytest.raises(CommandError, match="can be written by others"):
        store_owner_token(_renewable("alice"), settings)
    assert list(settings.state_dir.iterdir()) == []
    settings.owner_token_file.write_text(_jwt("mallory"))
    with pytest.raises(CommandError, match="can be written by others"):
        find_owner_token(settings)


@pytest.mark.parametrize("content", ["", "nonsense", "[]", "{}", '{"refresh_token": ""}'])
def test_a_damaged_renewal_is_as_good_as_none(tmp_path: Path, content: str) -> None:
    settings = _settings(tmp_path, stored=_jwt("alice"))
    settings.refresh_token_file.write_text(content)

    stored = find_stored_login(settings)
    assert stored is not None
    assert stored.refresh is None


def test_a_login_is_forgotten_with_what_renews_it(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    store_owner_token(_renewable("alice"), settings)

    assert forget_login(settings)
    assert list(tmp_path.iterdir()) == []
    assert not forget_login(settings)


def test_the_name_may_stand_in_another_claim(tmp_path: Path) -> None:
    settings = replace(
        _settings(tmp_path, stored=_jwt("alice", email="alice@example.org")),
        file_values={"KEYTURN_OIDC_NAME_CLAIM": "email"},
    )

    token = find_owner_token(settings)

    assert token is not None
    assert token.unverified_name == "alice@example.org"
