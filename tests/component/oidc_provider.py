"""OpenBao as a standard OIDC provider, and the person who logs in there with a browser."""

from __future__ import annotations

import json
import ssl
import urllib.request
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError
from urllib.parse import parse_qsl, urlencode, urlsplit

from keyturn_cli.local.openbao_server import OpenBaoServer
from tests.component.cli_vault import PASSWORD, add_person

_SCOPE = (
    '{"preferred_username": {{identity.entity.name}}, "groups": {{identity.entity.groups.names}}}'
)


@dataclass(frozen=True)
class Client:
    """A client of the provider; the secret is empty for a public one."""

    issuer: str
    client_id: str
    secret: str


def add_client(server: OpenBaoServer, name: str, *, is_public: bool) -> Client:
    """Set the provider up, unless it is, and register a client."""
    root = server.client()
    root.write_data("identity/oidc/key/people", data={"algorithm": "ES256"})
    root.write_data("identity/oidc/scope/profile", data={"template": _SCOPE})
    provider = {"allowed_client_ids": ["*"], "scopes_supported": ["profile"]}
    root.write_data("identity/oidc/provider/people", data=provider)
    client = {
        "key": "people",
        "client_type": "public" if is_public else "confidential",
        "redirect_uris": ["http://127.0.0.1/callback"],
        "assignments": ["allow_all"],
        "id_token_ttl": "10m",
    }
    root.write_data(f"identity/oidc/client/{name}", data=client)
    root.write_data("identity/oidc/key/people", data={"allowed_client_ids": ["*"]})
    registered = root.read(f"identity/oidc/client/{name}")["data"]
    return Client(
        issuer=f"{server.address}/v1/identity/oidc/provider/people",
        client_id=registered["client_id"],
        secret=registered.get("client_secret", ""),
    )


class Person:
    """Somebody with a browser, who logs in at OpenBao with a password and does as OpenBao says."""

    def __init__(self, server: OpenBaoServer, name: str) -> None:
        """Make the person."""
        add_person(server, name)
        root = server.client()
        policy = 'path "identity/oidc/provider/people/authorize" { capabilities = ["read"] }'
        root.sys.create_or_update_policy("browser-person", policy)
        user = {"password": PASSWORD, "token_policies": ["cli-person", "browser-person"]}
        root.write_data(f"auth/keyturn-people/users/{name}", data=user)
        self._server = server
        self._name = name

    def authorize(self, url: str) -> dict[str, str]:
        """Log in, agree, and return the parameters that the browser is to bring back."""
        login = self._call(f"auth/keyturn-people/login/{self._name}", body={"password": PASSWORD})
        token = login["auth"]["client_token"]
        query = dict(parse_qsl(urlsplit(url).query))
        # The address is that of a web page, which is not part of the server; this is what it calls.
        path = f"identity/oidc/provider/people/authorize?{urlencode(query)}"
        answer = self._call(path, token=token)
        return {"code": answer["code"], "state": answer["state"]}

    def _call(self, path: str, *, body: object = None, token: str = "") -> dict[str, Any]:
        request = urllib.request.Request(  # noqa: S310 - https
            f"{self._server.address}/v1/{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"X-Vault-Token": token} if token else {},
        )
        context = ssl.create_default_context(cafile=str(self._server.ca_file))
        with urllib.request.urlopen(request, context=context) as response:  # noqa: S310 - https
            document = json.load(response)
        assert isinstance(document, dict)
        return document


def come_back(redirect_uri: str, parameters: dict[str, str]) -> tuple[int, str]:
    """Go where the issuer sends the browser; return the status and the page."""
    url = f"{redirect_uri}?{urlencode(parameters)}"
    try:
        with urllib.request.urlopen(url, timeout=10) as response:  # noqa: S310 - loopback
            return response.status, response.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()
