"""A strict deployment: a second factor, ceilings, and an issuer of apps' tokens with any clock."""

from __future__ import annotations

import json
import re
import ssl
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from jwt.algorithms import RSAAlgorithm

from keyturn.keyvault.v1 import grant_pb2 as grant_pb
from keyturn.keyvault.v1 import grant_service_pb2 as grants_pb
from keyturn_cli.local.layout import DEMO_APP, OTHER_APP
from keyturn_cli.local.service_settings import AUTH_TIME_CLAIM
from tests.certs import Authority, write
from tests.e2e.attack_apps import BAD_INPUT
from tests.e2e.attack_table import BOTH, KEY_SERVICE, Attack, Scene, Threat, chat
from tests.e2e.breaking import Verdict
from tests.e2e.clients import Clients
from tests.e2e.identities import PROOF_INVALID
from tests.e2e.owners import CONSENT_TEXT_VERSION, Owner, alice
from tests.e2e.people_requests import REQUESTS, Place, call_as

ISSUER = "https://issuer.example.org"
CEILINGS = """
[ceilings]
max_grant_lifetime_days = 30
models = ["gpt-4o*"]
endpoints = ["chat/completions", "embeddings"]
limits = { concurrent_calls = 100 }
"""
STEP_UP: Verdict = ("UNAUTHENTICATED", "STEP_UP_REQUIRED")
_DAY = 86400
_KEY = rsa.generate_private_key(65537, 2048)
_SHORTEST_SECONDS = 60
_MAX_AGE = re.compile(r"(\"max_age_seconds\" = )\d+")
_SECTION = re.compile(r"\[\[app_issuers\]\]\n(?:[^\[\n][^\n]*\n)*")


@contextmanager
def issuer_of_any_time(folder: Path) -> Iterator[str]:
    """Publish the issuer's key; yield the settings that trust it, TOML."""
    authority = Authority("the issuer's CA")
    files = write(folder, authority.server(), authority.pem)
    jwk = {**RSAAlgorithm.to_jwk(_KEY.public_key(), as_dict=True), "kid": "one", "use": "sig"}
    body = json.dumps({"keys": [jwk]}).encode()

    class Keys(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its base's name
            del format, args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Keys)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(files.certificate, files.key)
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    try:
        yield (
            f'[[app_issuers]]\nissuer = "{ISSUER}"\naudience = "keyturn-apps"\n'
            f'jwks_url = "https://127.0.0.1:{server.server_port}/keys"\nca_file = "{files.ca}"\n'
        )
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


def trust_only(clients: Clients, issuer: str) -> None:
    """Have the key service trust *issuer*, settings, for apps' tokens from its next start on."""
    file = clients.stack.layout.service_settings("keyvault-svc")
    changed, count = _SECTION.subn(lambda _: issuer, file.read_text(encoding="utf-8"))
    assert count == 1
    file.write_text(changed, encoding="utf-8")


def shorten_factors(clients: Clients) -> None:
    """Have the key service ask for a second factor of the last minute, from its next start on."""
    file = clients.stack.layout.service_settings("keyvault-svc")
    changed, count = _MAX_AGE.subn(f"\\g<1>{_SHORTEST_SECONDS}", file.read_text(encoding="utf-8"))
    assert count == 1
    file.write_text(changed, encoding="utf-8")


def seconds_until_stale(person: Owner) -> float:
    """Return when the second factor of *person* is older than that, in seconds from now."""
    claims = jwt.decode(person.token, options={"verify_signature": False})
    stale_time: int = claims[AUTH_TIME_CLAIM] + _SHORTEST_SECONDS + 1
    return max(0.0, stale_time - time.time())


def token(**changes: Any) -> str:  # noqa: ANN401 - any claim; None leaves it out
    """Return a token of the issuer for the demo app; times are seconds from now."""
    now = int(time.time())
    good = {"iss": ISSUER, "aud": "keyturn-apps", "sub": DEMO_APP, "iat": 0, "exp": 300}
    claims: dict[str, Any] = {**good, **changes}
    for name in ("iat", "exp", "nbf"):
        if type(claims.get(name)) is int:
            claims[name] += now
    kept = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(kept, _KEY, algorithm="RS256", headers={"kid": "one"})


_Make = Callable[[Scene], Awaitable[Verdict]]


def with_token(**changes: Any) -> _Make:  # noqa: ANN401 - as `token`
    """Return a call beside the demo app's certificate with such a token."""
    return lambda scene: chat(scene, ("authorization", f"Bearer {token(**changes)}"))


# The clocks may differ by half a minute. What a service takes meanwhile stays within these.
WITHIN_SKEW: dict[str, _Make] = {
    "right": with_token(),
    "just expired": with_token(iat=-60, exp=-10),
    "issued by a clock that is ahead": with_token(iat=20, exp=320),
    "good from just now on": with_token(nbf=20),
}


def _token_rows() -> list[Attack]:
    def row(threat: Threat, name: str, **changes: Any) -> Attack:  # noqa: ANN401 - as `token`
        return Attack(threat, name, with_token(**changes), PROOF_INVALID, BOTH)

    return [
        row(Threat.EXPIRED, "a minute ago", iat=-600, exp=-60),
        row(Threat.EXPIRED, "a year ago", iat=-366 * _DAY, exp=-365 * _DAY),
        row(Threat.EXPIRED, "never", exp=None),
        row(Threat.EXPIRED, "at a time that is no number", exp="never"),
        row(Threat.EXPIRED, "at a time that is not a number", exp=float("nan")),
        row(Threat.EXPIRED, "at infinity", exp=float("inf")),
        row(Threat.EXPIRED, "true", exp=True),
        row(Threat.EXPIRED, "later than the issuer's tokens may", exp=2 * _DAY),
        row(Threat.CLOCK_SKEW, "issued in a minute", iat=60, exp=360),
        row(Threat.CLOCK_SKEW, "issued tomorrow", iat=_DAY, exp=_DAY + 300),
        row(Threat.CLOCK_SKEW, "good in a minute", nbf=60),
        row(Threat.CLOCK_SKEW, "issued at no time", iat=None),
        row(Threat.AUDIENCE, "of nobody", aud=None),
        row(Threat.AUDIENCE, "of another service", aud="keyturn-apps2"),
        row(Threat.AUDIENCE, "of a part of the name", aud="keyturn"),
        row(Threat.AUDIENCE, "of others", aud=["keyturn-owners", "KEYTURN-APPS"]),
        row(Threat.OTHER_APP, "the token of another app", sub=OTHER_APP),
        row(Threat.OTHER_APP, "the token of two apps", sub=[DEMO_APP, OTHER_APP]),
    ]


def _strong(scene: Scene) -> Owner:
    return scene.people["strong"]


def _weak(scene: Scene) -> Owner:
    return alice(scene.clients)


def _call(rpc: str, who: Callable[[Scene], Owner], request: Callable[[Scene], Message]) -> _Make:
    service = "GrantService" if "Grant" in rpc else "KeyService"
    method = f"/keyturn.keyvault.v1.{service}/{rpc}"
    return lambda scene: call_as(who(scene), method, request(scene), request_id=scene.request_id)


def _sensitive_rows(who: Callable[[Scene], Owner], what: str) -> list[Attack]:
    def request_of(rpc: str) -> Callable[[Scene], Message]:
        return lambda scene: REQUESTS[rpc](Place("users/alice", scene.key.name.split("/")[-1]))

    row = partial(Attack, Threat.SECOND_FACTOR, heard=STEP_UP, recorded_by=(KEY_SERVICE,))
    rows = [
        row(f"{rpc} with {what}", _call(rpc, who, request_of(rpc)))
        for rpc in ("CreateKey", "RotateKey", "DeleteKey")
    ]
    rows.append(row(f"a wider grant with {what}", _wider(who, endpoints=["embeddings"])))
    return rows


def _wider(who: Callable[[Scene], Owner], **terms: Any) -> _Make:  # noqa: ANN401 - of a grant
    async def make(scene: Scene) -> Verdict:
        [grant] = await _strong(scene).list_grants(scene.key.name)
        changed = grant_pb.Grant(name=grant.name, **terms)
        request = grants_pb.UpdateGrantRequest(
            grant=changed,
            update_mask=FieldMask(paths=list(terms)),
            consent_text_version=CONSENT_TEXT_VERSION,
        )
        return await _call("UpdateGrant", who, lambda _: request)(scene)

    return make


def in_days(days: int) -> Timestamp:
    """Return the time in so many days."""
    return Timestamp(seconds=int(time.time()) + days * _DAY)


def terms(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - of a grant
    """Return terms within the ceilings, with *changes*."""
    return {
        "models": ["gpt-4o-mini"],
        "endpoints": ["chat/completions"],
        "expire_time": in_days(7),
        "limits": {"concurrent_calls": 10},
        **changes,
    }


def _ceiling_rows() -> list[Attack]:
    def new(**changes: Any) -> _Make:  # noqa: ANN401 - of a grant
        def request(scene: Scene) -> Message:
            grant = grant_pb.Grant(app=OTHER_APP, **terms(**changes))
            return grants_pb.CreateGrantRequest(
                parent=scene.key.name, grant=grant, consent_text_version=CONSENT_TEXT_VERSION
            )

        return _call("CreateGrant", _strong, request)

    beyond: dict[str, dict[str, Any]] = {
        "every model": {"models": ["*"]},
        "a wider family of models": {"models": ["gpt-*"]},
        "another model": {"models": ["gpt-4o-mini", "o1"]},
        "every endpoint": {"endpoints": ["*"]},
        "another endpoint": {"endpoints": ["chat/completions", "files"]},
        "a longer life": {"expire_time": in_days(31)},
        "a higher limit": {"limits": {"concurrent_calls": 101}},
    }
    row = partial(Attack, Threat.CEILING, heard=BAD_INPUT, recorded_by=(KEY_SERVICE,))
    rows = [row(f"a new grant of {name}", new(**changes)) for name, changes in beyond.items()]
    rows += [
        row(f"a grant widened to {name}", _wider(_strong, **changes))
        for name, changes in beyond.items()
    ]
    rows.append(row("a new grant without end", new(expire_time=None)))
    rows.append(row("a new grant without limits", new(limits=None)))
    return rows


ATTACKS = [*_token_rows(), *_sensitive_rows(_weak, "none"), *_ceiling_rows()]
# Once what was fresh is no longer so.
STALE = _sensitive_rows(_strong, "one of minutes ago")
