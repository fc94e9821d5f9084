"""A search for a key, in every form in which one gets away: files, processes, texts."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from svc_runtime.secret_bytes import SecretBytes

_FRAGMENT: Final = 24  # characters of the middle, which alone are enough to guess the rest
_CHUNK_BYTES: Final = 16 * 1024 * 1024
_GROUP_BYTES: Final = 3  # that base64 encodes together, so that it has three alignments


@dataclass(frozen=True)
class Find:
    """One place that holds a form of the key."""

    place: str
    form: str


def forms_of(api_key: SecretBytes) -> dict[str, bytes]:
    """Return what to search for, by a name that can be told.

    The middle stands for the key as it is, with whatever was cut off or masked around it.
    """
    raw = api_key.expose()
    start = (len(raw) - _FRAGMENT) // 2
    middle = raw[start : start + _FRAGMENT]
    return {
        "plain": middle,
        "reversed": middle[::-1],
        "hex": middle.hex().encode(),
        "upper-case hex": middle.hex().upper().encode(),
        "percent-encoded": "".join(f"%{byte:02X}" for byte in middle).encode(),
        "UTF-16": middle.decode().encode("utf-16-le"),
        **{f"base64, offset {offset}": _base64(middle, offset) for offset in range(_GROUP_BYTES)},
    }


def search_files(folder: Path, forms: Mapping[str, bytes]) -> tuple[list[Find], list[Path]]:
    """Search every file below *folder*; return the finds, and which files were read."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    found = [Find(str(path), form) for path in files for form in _forms_in_file(path, forms)]
    return found, files


def search_processes(forms: Mapping[str, bytes]) -> tuple[list[Find], list[int]]:
    """Search environment and command line of every process; return the finds, and the ids."""
    found, seen = [], []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            content = (folder / "environ").read_bytes() + b"\0" + (folder / "cmdline").read_bytes()
        except (OSError, ProcessLookupError):
            continue  # it has ended, or is not ours to read
        seen.append(int(folder.name))
        found += [Find(f"process {folder.name}", name) for name, f in forms.items() if f in content]
    return found, seen


def search_texts(place: str, texts: Iterable[str], forms: Mapping[str, bytes]) -> list[Find]:
    """Search *texts*, which all come from *place*."""
    content = "\n".join(texts).encode("utf-8", "surrogateescape")
    return [Find(place, name) for name, form in forms.items() if form in content]


def _forms_in_file(path: Path, forms: Mapping[str, bytes]) -> list[str]:
    found = {
        name
        for chunk in _chunks(path, max(map(len, forms.values())))
        for name in forms
        if forms[name] in chunk
    }
    return sorted(found)


def _chunks(path: Path, longest: int) -> Iterator[bytes]:
    """Yield the content of *path* in pieces that overlap by what the longest form needs."""
    before = b""
    with path.open("rb") as file:
        while piece := file.read(_CHUNK_BYTES):
            yield before + piece
            before = piece[-longest:]


def _base64(raw: bytes, offset: int) -> bytes:
    """Return what base64 makes of *raw* wherever it stands at *offset* modulo three.

    The groups at both ends depend on the neighbours, so they are left out.
    """
    encoded = base64.b64encode(bytes(offset) + raw)
    return encoded[4 : len(encoded) // 4 * 4 - 4].rstrip(b"=")
