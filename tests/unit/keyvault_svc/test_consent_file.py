from __future__ import annotations

from pathlib import Path

import pytest

from keyvault_svc.consent_file import load_consent_text
from svc_runtime.settings_models import SettingsError


def test_the_text_that_comes_along_says_what_an_owner_must_know() -> None:
    consent = load_consent_text(None)

    assert all(
        heading in consent.text
        for heading in ("What the app may do", "What Keyturn keeps", "How to withdraw")
    )
    assert len(consent.version) == 12


def test_another_text_has_another_version_unless_the_operator_names_it(tmp_path: Path) -> None:
    file = tmp_path / "consent.txt"
    file.write_text("You let an app use your key.\n", encoding="utf-8")
    first = load_consent_text(file)
    file.write_text("You let an app use your key, at your cost.\n", encoding="utf-8")

    assert load_consent_text(file).version != first.version
    assert load_consent_text(file, "2027-01").version == "2027-01"
    assert load_consent_text(file).text == "You let an app use your key, at your cost."


@pytest.mark.parametrize(
    "content",
    [b"", b" \n", b"\xff\xfe", b"x" * 70_000, b"a\x1b[2Jb", "a\u202eb".encode()],
    ids=["empty", "blank", "not UTF-8", "too long", "escape", "direction"],
)
def test_what_is_no_readable_text_is_refused_without_being_repeated(
    tmp_path: Path, content: bytes
) -> None:
    file = tmp_path / "consent.txt"
    file.write_bytes(content)

    with pytest.raises(SettingsError) as caught:
        load_consent_text(file)

    assert "consent.text_file" in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_a_file_that_is_not_there_is_a_fault_of_the_settings(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        load_consent_text(tmp_path / "none.txt")
