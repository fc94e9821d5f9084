"""An issuer of tokens: signs what a test likes, and publishes its keys over TLS."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from svc_runtime.http_tls import server_ssl_context
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.tls_files import TLSFilesWatcher
from tests.aiohttp_sites import end
from tests.certs import Authority, write
from tests.fakes.fake_clock import START, FakeClock

ISSUER = "https://issuer.example.org"
AUDIENCE = "keyturn-apps"
NOW = int(START.timestamp())

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()


def jwk(key: PrivateKey, key_id: str, **more: object) -> dict[str, Any]:
    """Return the public half of *key* as a JWK."""
    public: Any
    if isinstance(key, rsa.RSAPrivateKey):
        public = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        public = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    else:
        public = OKPAlgorithm.to_jwk(key.public_key(), as_dict=True)
    public.pop("key_ops", None)
    return {**public, "kid": key_id, "use": "sig", **more}


def claims(**changes: object) -> dict[str, object]:
    """Return good claims, changed; a claim that is None is left out."""
    good: dict[str, object] = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "spiffe://example.org/app/billing",
        "iat": NOW,
        "exp": NOW + 300,
    }
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def sign(
    payload: dict[str, object],
    key: Any = RSA,  # noqa: ANN401 - also what no honest issuer signs with
    *,
    algorithm: str = "RS256",
    key_id: str | None = "rsa",
    **headers: object,
) -> SecretBytes:
    """Return a token."""
    header = {**({"kid": key_id} if key_id is not None else {}), **headers}
    return SecretBytes(jwt.encode(payload, key, algorithm=algorithm, headers=header).encode())


def assemble(header: object, payload: object, signature: bytes = b"") -> SecretBytes:
    """Return a token of parts that no library would write."""
    parts = [json.dumps(part).encode() for part in (header, payload)]
    return SecretBytes(b".".join(map(_base64url, [*parts, signature])))


def _base64url(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


@dataclass
class Issuer:
    """What the JWKS endpoint answers, to be changed by the test.

    Attributes:
        fetch_count: How often the keys were asked for.
        body: The answer, in place of `keys`.
        encoding: Of the body, as the answer says.
        drips: Whether it sends bytes for ever, slowly enough not to be too many.
    """

    keys: list[Any] = field(default_factory=list)
    status: int = 200
    body: bytes | None = None
    encoding: str = ""
    drips: bool = False
    fetch_count: int = 0
    jwks_url: str = ""
    ca_file: Path = Path()
    _asked: asyncio.Condition = field(default_factory=asyncio.Condition)
    _released: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.release()

    def rename_keys(self, key_id: str) -> None:
        """Publish the RSA key under another id only."""
        self.keys = [jwk(RSA, key_id)]

    def hold(self) -> None:
        """Answer nothing from now on, until `release`."""
        self._released.clear()

    def release(self) -> None:
        """Answer again, those who wait first."""
        self._released.set()

    async def fetched(self, count: int) -> None:
        """Wait until the keys were asked for *count* times."""
        async with self._asked:
            await self._asked.wait_for(lambda: self.fetch_count >= count)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        async with self._asked:
            self.fetch_count += 1
            self._asked.notify_all()
        await self._released.wait()
        if self.drips:
            return await _drip(request)
        body = self.body if self.body is not None else json.dumps({"keys": self.keys}).encode()
        headers = {"location": "/elsewhere"} if self.status // 100 == 3 else {}
        headers |= {"content-encoding": self.encoding} if self.encoding else {}
        return web.Response(body=body, status=self.status, headers=headers)


async def _drip(request: web.BaseRequest) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    with contextlib.suppress(ConnectionError):
        while True:
            await response.write(b" ")
            await asyncio.sleep(0.05)
    return response


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[Issuer]:
    """Serve the keys `rsa`, `ec` and `ed` over HTTPS."""
    authority = Authority("the issuer's CA")
    files = write(folder, authority.server(), authority.pem)
    issuer = Issuer([jwk(RSA, "rsa"), jwk(EC, "ec"), jwk(ED, "ed")], ca_file=files.ca)
    runner = web.ServerRunner(web.Server(issuer._answer))
    await runner.setup()
    context = server_ssl_context(TLSFilesWatcher(files, FakeClock()))
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    issuer.jwks_url = f"https://127.0.0.1:{runner.addresses[0][1]}/keys"
    try:
        yield issuer
    finally:
        issuer.release()
        issuer.drips = False
        await end(runner)
