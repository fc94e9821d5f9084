from __future__ import annotations

import base64
from pathlib import Path

import pytest

from keyvault_svc.notifications.secret_files import read_password, read_webhook_secret
from svc_runtime.settings_models import SettingsError

SECRET = bytes(range(32))


def _file(folder: Path, content: bytes) -> Path:
    file = folder / "secret"
    file.write_bytes(content)
    return file


def _encoded(secret: bytes) -> bytes:
    return b"whsec_" + base64.b64encode(secret)


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"], ids=["none", "LF", "CRLF"])
def test_a_webhook_secret_is_read_with_any_end_of_line(tmp_path: Path, end: bytes) -> None:
    secret = read_webhook_secret(_file(tmp_path, _encoded(SECRET) + end))

    assert secret.expose() == SECRET


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"whsec_",
        base64.b64encode(SECRET),
        b"whsec_" + b"not*base64" * 5,
        _encoded(bytes(23)),
        _encoded(bytes(65)),
        _encoded(SECRET) + b"\n" + _encoded(SECRET),
        b"\xff" * 40,
    ],
    ids=["empty", "prefix", "bare", "no base64", "short", "long", "two", "binary"],
)
def test_what_is_no_webhook_secret_is_refused_without_repeating_it(
    tmp_path: Path, content: bytes
) -> None:
    with pytest.raises(SettingsError) as caught:
        read_webhook_secret(_file(tmp_path, content))

    assert str(caught.value) == (
        f"{tmp_path}/secret: must hold whsec_ and 24 to 64 bytes in base64"
    )
    assert caught.value.__context__ is None


def test_a_password_may_hold_spaces(tmp_path: Path) -> None:
    assert read_password(_file(tmp_path, b" a b \n")).expose() == b" a b "


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe"], ids=["empty", "blank", "binary"])
def test_what_is_no_password_is_refused_without_repeating_it(
    tmp_path: Path, content: bytes
) -> None:
    with pytest.raises(SettingsError, match="must hold a password in UTF-8") as caught:
        read_password(_file(tmp_path, content))

    assert caught.value.__context__ is None


@pytest.mark.parametrize("read", [read_password, read_webhook_secret])
def test_a_missing_file_is_named(tmp_path: Path, read: object) -> None:
    with pytest.raises(SettingsError, match="missing: No such file"):
        read(tmp_path / "missing")  # type: ignore[operator]  # both are functions of a path
