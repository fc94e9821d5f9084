"""The same commit makes the same images, to the byte."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.images.engine import IMAGES, Engine
from tests.images.image_archive import ImageArchive

pytestmark = [pytest.mark.images, pytest.mark.timeout(3600)]


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Images that were built without anything of an earlier build."""
    built = Engine(f"second-{os.getpid()}", tmp_path_factory.mktemp("again"))
    built.build(anew=True)
    yield built
    built.remove()


def test_a_build_from_nothing_makes_the_same_layers(
    second: Engine, archives: dict[str, ImageArchive]
) -> None:
    again = {image: ImageArchive(second.output / f"{image}.oci.tar") for image in IMAGES}

    assert {i: a.layers for i, a in archives.items()} == {i: a.layers for i, a in again.items()}


def test_a_build_from_nothing_makes_the_same_digests(
    second: Engine, archives: dict[str, ImageArchive]
) -> None:
    again = {image: ImageArchive(second.output / f"{image}.oci.tar") for image in IMAGES}

    assert {i: a.digest for i, a in archives.items()} == {i: a.digest for i, a in again.items()}


def test_the_digest_that_is_told_is_that_of_the_archive(
    second: Engine, archives: dict[str, ImageArchive]
) -> None:
    told = {i: (second.output / f"{i}.digest").read_text("utf-8").strip() for i in IMAGES}

    assert {image: archive.digest for image, archive in archives.items()} == told
