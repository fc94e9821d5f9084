"""A tree of files comes out the same in each build, and nobody but root may write it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tools.images.tree import CompilationError, compile_modules, settle

_EPOCH = 1_700_000_000
_UNCHECKED_HASH = 1  # PEP 552: the flags of a .pyc that is taken without a look at its source


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "root" / "app"
    folder.mkdir(parents=True)
    (folder / "module.py").write_text("ANSWER = 42\n", "utf-8")
    return folder


def test_bytecode_is_taken_unseen_and_names_the_file_as_the_image_has_it(package: Path) -> None:
    compile_modules(package, root=package.parent)

    (compiled,) = package.rglob("*.pyc")
    content = compiled.read_bytes()
    assert int.from_bytes(content[4:8], "little") == _UNCHECKED_HASH
    assert b"/app/module.py" in content
    assert os.fsencode(package) not in content


def test_a_module_that_is_no_python_ends_the_build(package: Path) -> None:
    (package / "broken.py").write_text("def :\n", "utf-8")

    with pytest.raises(CompilationError):
        compile_modules(package, root=package.parent)


@pytest.mark.parametrize(
    ("before", "after"),
    [(0o666, 0o644), (0o600, 0o644), (0o777, 0o755), (0o4755, 0o755), (0o2710, 0o755)],
    ids=oct,
)
def test_a_file_keeps_of_its_permissions_only_whether_it_runs(
    package: Path, before: int, after: int
) -> None:
    module = package / "module.py"
    module.chmod(before)

    settle(package, _EPOCH)

    assert stat.S_IMODE(module.stat().st_mode) == after


def test_everything_has_the_time_of_the_build(package: Path) -> None:
    (package / "link").symlink_to("nowhere")

    settle(package, _EPOCH)

    times = {path.lstat().st_mtime for path in (package, *package.iterdir())}
    assert times == {_EPOCH}
