"""One cluster with an installed release, for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kube.cluster import Cluster
from tests.kube.installation import Installation


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Keyturn as the chart installs it, and a key that serves the demo app."""
    folder = tmp_path_factory.mktemp("kube")
    cluster = Cluster(folder)
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
