"""An image as its archive has it: labels, settings, files. No engine is needed to read it."""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

_BLOB = "blobs/sha256/"


@dataclass(frozen=True)
class ImageArchive:
    """An OCI archive of one image for one platform."""

    path: Path

    @cached_property
    def digest(self) -> str:
        """Digest of the manifest: what the image is pinned by."""
        return str(self._json("index.json")["manifests"][0]["digest"])

    @cached_property
    def manifest(self) -> dict[str, Any]:
        return self._json(_BLOB + self.digest.removeprefix("sha256:"))

    @cached_property
    def description(self) -> dict[str, Any]:
        """The image's configuration, with its time and its history."""
        return self._json(_BLOB + self.manifest["config"]["digest"].removeprefix("sha256:"))

    @property
    def settings(self) -> dict[str, Any]:
        """What a container of the image starts with."""
        return dict(self.description["config"])

    @property
    def layers(self) -> list[str]:
        """Digests of the layers, compressed."""
        return [layer["digest"] for layer in self.manifest["layers"]]

    @property
    def compressed_bytes(self) -> int:
        return sum(layer["size"] for layer in self.manifest["layers"])

    @cached_property
    def files(self) -> dict[str, tarfile.TarInfo]:
        """Every file, folder and link, by its path without the first slash."""
        found: dict[str, tarfile.TarInfo] = {}
        for layer in self.layers:
            with self._layer(layer) as content:
                found |= {member.name.removeprefix("./").rstrip("/"): member for member in content}
        return {name: member for name, member in found.items() if name not in {"", "."}}

    def read(self, name: str) -> bytes:
        """Return the content of the file *name*."""
        return self.read_all({name})[name]

    def read_all(self, names: set[str]) -> dict[str, bytes]:
        """Return the contents of the files *names*, by path."""
        contents = {}
        for layer in self.layers:
            with self._layer(layer) as content:
                for member in content:
                    file = content.extractfile(member) if member.isreg() else None
                    if file is not None and member.name.removeprefix("./") in names:
                        contents[member.name.removeprefix("./")] = file.read()
        return contents

    def unpack(self, folder: Path) -> None:
        """Write all files below *folder*, with their owners and rights; needs root.

        No layer takes a file of an earlier one away: the images are made by COPY from nothing.
        """
        for layer in self.layers:
            with self._layer(layer) as content:
                # A filter would refuse links and owners; the archive is our own.
                content.extractall(folder, numeric_owner=True, filter="fully_trusted")  # noqa: S202 - see above

    def _layer(self, digest: str) -> tarfile.TarFile:
        with tarfile.open(self.path) as archive:
            blob = archive.extractfile(_BLOB + digest.removeprefix("sha256:"))
            assert blob is not None
            # In memory, so that the archive may be closed: a layer has tens of megabytes.
            return tarfile.open(fileobj=io.BytesIO(blob.read()))

    def _json(self, name: str) -> dict[str, Any]:
        with tarfile.open(self.path) as archive:
            blob = archive.extractfile(name)
            assert blob is not None
            return dict(json.load(blob))
