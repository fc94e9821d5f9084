"""The settings that operators copy for plain machines are settings that the services take."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

from gateway_svc.__main__ import main as gateway_main
from keyvault_svc.__main__ import main as keyvault_main
from tests.architecture.source_tree import ROOT

_TOML = re.compile(r"^ *```toml\n(.*?)^ *```", re.MULTILINE | re.DOTALL)


def _files() -> list[str]:
    """Return the texts of the key service's and the gateway's file."""
    text = (ROOT / "docs" / "operators.md").read_text(encoding="utf-8")
    section = text.partition("\n## On plain machines\n")[2].partition("\n## ")[0]
    return [textwrap.dedent(block) for block in _TOML.findall(section)]


def test_each_service_takes_its_file_with_its_own_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)  # bootstrap's file of policies is named as seen from a checkout
    of_keyvault, of_gateway = _files()

    codes = [
        main(["check-settings", "--config", str(_written(tmp_path / name, text))])
        for main, name, text in (
            (keyvault_main, "keyvault.toml", of_keyvault),
            (gateway_main, "gateway.toml", of_gateway),
        )
    ]

    assert codes == [0, 0], capsys.readouterr().err


def test_a_setting_that_a_service_does_not_know_is_noticed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, of_gateway = _files()
    file = _written(tmp_path / "gateway.toml", f"misspelt = 1\n{of_gateway}")

    assert gateway_main(["check-settings", "--config", str(file)]) == 2
    assert "misspelt" in capsys.readouterr().err


def _written(file: Path, text: str) -> Path:
    file.write_text(text, encoding="utf-8")
    return file
