"""After all that the other modules did: the logs prove that every key was used within the rules.

Last of the folder, for it ends the services, so that their evidence is whole.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from keyturn_cli.exit_codes import ExitCode
from tests.e2e.log_check import faults_of
from tests.kube.app_load import load
from tests.kube.installation import Installation

pytestmark = [pytest.mark.kube, pytest.mark.timeout(600)]


def test_the_logs_of_the_cluster_show_nothing_wrong(installation: Installation) -> None:
    cluster = installation.cluster
    with load(cluster, rate=20):
        cluster.wait(2)
    for service in ("gateway-svc", "keyvault-svc"):
        for pod in cluster.deployments[service].pods:
            cluster.deployments[service].end(pod)
    logs = {
        service: [pod.log_file for pod in cluster.deployments[service].made]
        for service in ("gateway-svc", "keyvault-svc")
    }
    cluster.vault.stop()

    command = [sys.executable, "-m", "keyturn_cli", "audit", "verify", "--json"]
    command += map(str, cluster.vault.audit_logs())
    command += ["--windows", str(installation.layout.windows_file)]
    command += ["--signing-keys", str(installation.layout.signing_keys_file)]
    for log in (log for found in logs.values() for log in found):
        command += ["--service-log", str(log)]
    done = subprocess.run(command, capture_output=True, check=False, timeout=120)

    said = json.loads(done.stdout)
    assert (said["findings"], said["unread"]) == ([], [])
    assert done.returncode == ExitCode.OK
    for service, found in logs.items():
        for log in found:
            assert list(faults_of(log.read_text("utf-8").splitlines(), service)) == []
