"""Every rule of deploy/checks/rego finds what it is for, and finds nothing in a sound release."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.trivy_scan import RULES, Verdict, scan, write_release

Object = dict[str, Any]

_HERE = Path(__file__).parent
_PLANTED: dict[str, Object] = {
    planted["fault"]: planted
    for planted in yaml.safe_load((_HERE / "planted_faults.yaml").read_text(encoding="utf-8"))
}


def _sound() -> list[Object]:
    return list(yaml.safe_load_all((_HERE / "sound_release.yaml").read_text(encoding="utf-8")))


def _with(planted: Object) -> list[Object]:
    objects = _sound()
    node: Any
    [node] = [o for o in objects if f"{o['kind']} {o['metadata']['name']}" == planted["object"]]
    steps = [int(step) if step.isdigit() else step for step in planted["place"].split("/")]
    for step in steps[:-1]:
        node = node[step]
    if "value" in planted:
        node[steps[-1]] = planted["value"]
    else:
        del node[steps[-1]]
    return objects


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> list[Verdict]:
    """What the rules say of the sound release, and of one with each planted fault."""
    folder = tmp_path_factory.mktemp("planted")
    write_release(folder, "sound", _sound())
    for name, planted in _PLANTED.items():
        write_release(folder, name, _with(planted))
    return scan(folder)


def _failed(verdicts: list[Verdict], release: str) -> set[str]:
    return {v.check for v in verdicts if v.target == f"{release}.json" and not v.passed}


def _metadata(field: str) -> dict[str, str]:
    """Return *field* of each file of rules, by the file's name."""
    texts = {path.name: path.read_text(encoding="utf-8") for path in sorted(RULES.glob("*.rego"))}
    found = {name: re.search(rf"(?m)^# +{field}: (.+)$", text) for name, text in texts.items()}
    return {name: match[1] for name, match in found.items() if match}


def _rule_ids() -> set[str]:
    return set(_metadata("id").values())


def test_a_sound_release_breaks_no_rule(verdicts: list[Verdict]) -> None:
    about_sound = [v for v in verdicts if v.target == "sound.json"]

    assert [v.message for v in about_sound if not v.passed] == []
    assert {v.check for v in about_sound} == _rule_ids()


@pytest.mark.parametrize("name", _PLANTED)
def test_a_planted_fault_is_found(verdicts: list[Verdict], name: str) -> None:
    assert _PLANTED[name]["rule"] in _failed(verdicts, name)


def test_the_readme_lists_every_rule() -> None:
    titles, ids = _metadata("title"), _metadata("id")
    listed = re.findall(
        r"(?m)^\| (KT-\d+) \| (.+) \| `rego/(.+)` \|$",
        (RULES.parent / "README.md").read_text(encoding="utf-8"),
    )

    assert listed == sorted((ids[file], titles[file], file) for file in ids)


def test_every_rule_has_a_planted_fault() -> None:
    assert {planted["rule"] for planted in _PLANTED.values()} == _rule_ids()


def test_every_way_to_break_a_rule_has_a_planted_fault(verdicts: list[Verdict]) -> None:
    """Each `deny` of the rules has a message of its own; each is heard at least once."""
    heard = [v.message for v in verdicts if not v.passed]
    unheard = [
        message
        for path in sorted(RULES.glob("*.rego"))
        for message in re.findall(r'message := sprintf\(\s*"([^"]+)"', path.read_text("utf-8"))
        if not any(_fits(message, text) for text in heard)
    ]

    assert unheard == []


def _fits(message: str, text: str) -> bool:
    pattern = ".+".join(re.escape(part) for part in re.split(r"%[sv]", message))
    return re.fullmatch(pattern, text) is not None
