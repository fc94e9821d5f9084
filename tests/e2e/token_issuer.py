"""An issuer of apps' tokens beside the stack: a cluster whose service accounts are apps."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Final

from keyturn_cli.local.layout import DEMO_APP, TRUST_DOMAIN
from keyturn_cli.local.stack import LocalStack
from tests.unit.svc_runtime.issuer import AUDIENCE, ISSUER, RSA, Issuer, PrivateKey, serving, sign

APPS: Final = f"spiffe://{TRUST_DOMAIN}/app/"
DEMO_ACCOUNT: Final = "system:serviceaccount:default:demo"
"""The account that is the demo app; others are apps below their namespace."""
_START_SECONDS: Final = 10.0
_STACKS_OWN: Final = '"app_claim" = "keyturn_app"\n'


class StackWithCluster(LocalStack):
    """A stack that knows apps by their service accounts, too; `cluster` is to be set before."""

    cluster: Issuer

    def _write_settings(self) -> None:
        super()._write_settings()
        for service in ("keyvault-svc", "gateway-svc"):
            file = self.layout.service_settings(service)
            own = file.read_text(encoding="utf-8")
            assert _STACKS_OWN in own
            # The demo app has tokens of both issuers, so both say for which apps they speak.
            prefixes = f"app_id_prefixes = {json.dumps([APPS])}\n"
            if "app_id_prefixes" not in own:
                own = own.replace(_STACKS_OWN, _STACKS_OWN + prefixes)
            file.write_text(own + self._cluster_settings() + prefixes, encoding="utf-8")

    def _cluster_settings(self) -> str:
        return f"""
[[app_issuers]]
issuer = {json.dumps(ISSUER)}
audience = {json.dumps(AUDIENCE)}
jwks_url = {json.dumps(self.cluster.jwks_url)}
ca_file = {json.dumps(str(self.cluster.ca_file))}
kind = "kubernetes"
app_id_template = "{APPS}{{namespace}}/{{name}}"
apps = {{ {json.dumps(DEMO_ACCOUNT)} = {json.dumps(DEMO_APP)} }}
"""


@contextmanager
def running_issuer(folder: Path) -> Iterator[Issuer]:
    """Serve the keys of an issuer, whatever this thread does meanwhile."""
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = serving(folder)
    try:
        started = asyncio.run_coroutine_threadsafe(server.__aenter__(), loop)
        yield started.result(_START_SECONDS)
        ended = asyncio.run_coroutine_threadsafe(server.__aexit__(None, None, None), loop)
        ended.result(_START_SECONDS)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_START_SECONDS)
        loop.close()


def account_token(subject: str = DEMO_ACCOUNT, key: PrivateKey = RSA, **changes: object) -> str:
    """Return a projected token of a service account, with claims changed."""
    now = int(time.time())
    _, _, namespace, name = subject.split(":")
    claims = {
        "iss": ISSUER,
        "aud": [AUDIENCE],
        "sub": subject,
        "iat": now,
        "nbf": now,
        "exp": now + 600,
        "jti": "3f0c4cb4-6a3b-4c19-9f0e-3b3f7b0d5a53",
        "kubernetes.io": {
            "namespace": namespace,
            "pod": {"name": f"{name}-1", "uid": "7"},
            "serviceaccount": {"name": name, "uid": "8"},
        },
    }
    return sign({**claims, **changes}, key).expose().decode()
