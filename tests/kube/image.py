"""An image on disk, and what its containers start with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.images.image_archive import ImageArchive


@dataclass(frozen=True)
class Image:
    """An unpacked image.

    Attributes:
        root: The folder with its files.
        entry_point: Its program, before the arguments.
        environment: What its program finds in the environment.
    """

    root: Path
    entry_point: list[str]
    environment: dict[str, str]


def unpack(archive: ImageArchive, root: Path) -> Image:
    """Write the files of *archive* into the new folder *root*."""
    root.mkdir(parents=True)
    archive.unpack(root)
    variables = dict(entry.split("=", 1) for entry in archive.settings["Env"])
    return Image(root, archive.settings["Entrypoint"], variables)
