"""The tree names no package registry and no directory of somebody's machine.

Whoever builds it chooses where packages come from. The patterns are written so
that this file does not match them.
"""

from __future__ import annotations

import re

from tests.architecture.source_tree import files, relative

_REGISTRY = re.compile(
    r"[p]ypi\.(org|io|python)|[p]ythonhosted|\bregistry[.](npmjs|yarnpkg|k8s)|[n]pmjs\.(com|org)"
    r"|\b(docker|[g]hcr|quay|gcr)\.io/|[p]roxy\.golang|[s]um\.golang|\b(static\.)?[c]rates\.io"
    r"|[d]eb\.debian|[a]rchive\.ubuntu|[a]rtifactory|[i]ndex-url\s*=?\s*http",
    re.IGNORECASE,
)
_MACHINE = re.compile(
    # Vault makes its certificate authority at a path of its API that begins like a directory.
    r"(?<![\w.}-])/([w]ork|[f]arm|[r]oot(?!/generate/)|[U]sers/\w+|[h]ome/(?!nonroot)\w+)/"
)


def _places(pattern: re.Pattern[str]) -> list[str]:
    texts = ((path, path.read_text("utf-8", errors="replace")) for path in files())
    return [
        f"{relative(path)}:{number}"
        for path, text in texts
        if pattern.search(text)  # most have none, and need not be read line by line
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]


def test_no_file_names_a_package_registry() -> None:
    assert _places(_REGISTRY) == []


def test_no_file_names_a_directory_of_a_machine() -> None:
    assert _places(_MACHINE) == []
