"""A Kubernetes API server that knows one thing: to review the tokens of service accounts."""

from __future__ import annotations

import ssl
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec

from tests.aiohttp_sites import end
from tests.certs import Authority, write

NAMESPACE = "keyturn"
SERVICE_ACCOUNT = "keyvault-svc"
_UID = "9f5d0c9e-5a0e-4a6c-8f8d-1f1c3f0f5a11"


class FakeKubernetesAPI:
    """Listens on a free port of 127.0.0.1; accepts the tokens that it issued."""

    def __init__(self, folder: Path) -> None:
        authority = Authority("fake Kubernetes")
        self.ca = authority.pem.decode()
        self.reviews = 0
        self._signing_key = ec.generate_private_key(ec.SECP256R1())
        files = write(folder, authority.server(), authority.pem)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(files.certificate, files.key)
        app = web.Application()
        app.router.add_post("/apis/authentication.k8s.io/v1/tokenreviews", self._review)
        self._runner = web.AppRunner(app)

    @property
    def address(self) -> str:
        host, port = self._runner.addresses[0][:2]
        return f"https://{host}:{port}"

    def issue_token(
        self,
        signing_key: ec.EllipticCurvePrivateKey | None = None,
        *,
        account_name: str = SERVICE_ACCOUNT,
    ) -> str:
        """Return a token of a service account, as a projected volume holds it.

        Args:
            signing_key: Key of another cluster, whose tokens this one does not accept.
            account_name: Whose token it is.
        """
        now = int(time.time())
        account = {"name": account_name, "uid": _UID}
        claims = {
            "iss": "https://kubernetes.default.svc.cluster.local",
            "sub": f"system:serviceaccount:{NAMESPACE}:{account_name}",
            "aud": ["vault"],
            "iat": now,
            "nbf": now,
            "exp": now + 600,
            "kubernetes.io": {"namespace": NAMESPACE, "serviceaccount": account},
        }
        return jwt.encode(claims, signing_key or self._signing_key, algorithm="ES256")

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._context).start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await end(self._runner)

    async def _review(self, request: web.Request) -> web.Response:
        self.reviews += 1
        review = await request.json()
        review["status"] = self._status(review["spec"]["token"])
        return web.json_response(review, status=201)

    def _status(self, token: str) -> dict[str, object]:
        try:
            claims = jwt.decode(
                token, self._signing_key.public_key(), algorithms=["ES256"], audience="vault"
            )
        except jwt.InvalidTokenError:
            return {"authenticated": False, "error": "unknown token"}
        user = {
            "username": claims["sub"],
            "uid": claims["kubernetes.io"]["serviceaccount"]["uid"],
            "groups": ["system:serviceaccounts", f"system:serviceaccounts:{NAMESPACE}"],
        }
        return {"authenticated": True, "user": user, "audiences": claims["aud"]}
