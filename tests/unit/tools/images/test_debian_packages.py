"""Names of files and packages as Debian's database has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.images.debian_packages import parse_stanza, unmerged

_STANZA = """\
Package: libc6
Status: install ok installed
Architecture: amd64
Source: glibc
Version: 2.36-9+deb12u10
Description: GNU C Library: Shared libraries
 Contains the standard libraries that are used by nearly all programs on
 the system. This package: includes shared versions of the standard C library"""


def test_a_stanza_tells_name_version_and_architecture() -> None:
    package = parse_stanza(_STANZA)

    assert (package.name, package.version, package.architecture) == (
        "libc6",
        "2.36-9+deb12u10",
        "amd64",
    )
    assert package.stanza == _STANZA


def test_a_stanza_without_version_is_refused() -> None:
    with pytest.raises(KeyError):
        parse_stanza("Package: libc6\nArchitecture: amd64")


@pytest.mark.parametrize(
    ("path", "listed"),
    [
        ("/usr/lib/x86_64-linux-gnu/libc.so.6", "/lib/x86_64-linux-gnu/libc.so.6"),
        ("/lib/x86_64-linux-gnu/libc.so.6", "/lib/x86_64-linux-gnu/libc.so.6"),
        ("/usr/share/doc/libc6/copyright", "/usr/share/doc/libc6/copyright"),
        ("/usr/local/lib/libpython3.11.so.1.0", "/usr/local/lib/libpython3.11.so.1.0"),
    ],
)
def test_a_library_has_one_name_by_whichever_folder_it_is_found(path: str, listed: str) -> None:
    assert unmerged(Path(path)) == Path(listed)
