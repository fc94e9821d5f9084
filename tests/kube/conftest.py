"""One cluster with an installed release, for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.images.engine import Engine
from tests.images.image_archive import ImageArchive
from tests.kube.cluster import Cluster
from tests.kube.image import Image, unpack
from tests.kube.installation import Installation

_SERVICES = ("keyvault-svc", "gateway-svc")


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Image]:
    """The services' images, built of what is checked out."""
    folder = tmp_path_factory.mktemp("images")
    engine = Engine("kube", folder)
    engine.build(_SERVICES)
    archives = {name: ImageArchive(folder / f"{name}.oci.tar") for name in _SERVICES}
    return {name: unpack(archive, folder / name) for name, archive in archives.items()}


@pytest.fixture(scope="session")
def installation(
    images: dict[str, Image], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """Keyturn as the chart installs it, and a key that serves the demo app."""
    folder = tmp_path_factory.mktemp("kube")
    cluster = Cluster(folder, images)
    try:
        installation = Installation(cluster, folder / "administrator")
        installation.install()
        yield installation
    finally:
        cluster.stop()


@pytest.fixture
def cluster(installation: Installation) -> Cluster:
    """The cluster of that release."""
    return installation.cluster
