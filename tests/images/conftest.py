"""The images, built once for all tests of this folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

from tests.images.engine import IMAGES, Engine
from tests.images.image_archive import ImageArchive


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The images of a build that may use what earlier ones left."""
    if shutil.which("podman") is None:
        pytest.fail("these tests run images: podman must be installed", pytrace=False)
    built = Engine(f"first-{os.getpid()}", tmp_path_factory.mktemp("images"))
    built.build()
    yield built
    built.remove()


@pytest.fixture(params=IMAGES)
def image(request: pytest.FixtureRequest) -> str:
    """The name of each image."""
    return str(request.param)


@pytest.fixture(scope="session")
def archives(engine: Engine) -> dict[str, ImageArchive]:
    """The archive of each image, read once."""
    return {image: ImageArchive(engine.output / f"{image}.oci.tar") for image in IMAGES}


@pytest.fixture
def archive(archives: dict[str, ImageArchive], image: str) -> ImageArchive:
    """The archive of each image."""
    return archives[image]
