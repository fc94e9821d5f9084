"""Files of the local stack that only their owner may read."""

from __future__ import annotations

import os
from pathlib import Path


def write_private_file(path: Path, content: bytes) -> None:
    """Write *content* to *path* with mode 0600, wholly or not at all.

    A file of that name is replaced; a crash leaves either it or the new one.
    """
    unfinished = path.with_name(f"{path.name}.new")
    unfinished.unlink(missing_ok=True)  # of a crash; its mode may be another
    with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123  # of a descriptor
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
