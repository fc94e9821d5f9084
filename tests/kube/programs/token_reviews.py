"""A Kubernetes API server that reviews tokens: `token_reviews FOLDER`.

FOLDER has its certificate, and the public key of the cluster's tokens.
"""

from __future__ import annotations

import ssl
import sys
from pathlib import Path

import jwt
from aiohttp import web

_PORT = 6443


class _Reviewer:
    def __init__(self, folder: Path) -> None:
        self._public_key = (folder / "tokens.pem").read_text(encoding="ascii")
        self._reviewers_token = folder / "reviewer"

    async def review(self, request: web.Request) -> web.Response:
        reviewer = self._reviewers_token.read_text(encoding="ascii")
        if request.headers.get("authorization") != f"Bearer {reviewer}":
            return web.json_response({"kind": "Status", "code": 403}, status=403)
        review = await request.json()
        review["status"] = self._status(review["spec"]["token"], review["spec"].get("audiences"))
        return web.json_response(review, status=201)

    def _status(self, token: str, audiences: list[str] | None) -> dict[str, object]:
        try:
            claims = jwt.decode(token, self._public_key, algorithms=["ES256"], audience=audiences)
        except jwt.InvalidTokenError:
            return {"authenticated": False, "error": "unknown token"}
        account = claims["kubernetes.io"]
        user = {
            "username": claims["sub"],
            "uid": account["serviceaccount"]["uid"],
            "groups": ["system:serviceaccounts", f"system:serviceaccounts:{account['namespace']}"],
        }
        return {"authenticated": True, "user": user, "audiences": claims["aud"]}


def main(folder: Path) -> None:
    """Serve until the end of the pod."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    app = web.Application()
    reviewer = _Reviewer(folder)
    app.router.add_post("/apis/authentication.k8s.io/v1/tokenreviews", reviewer.review)
    host = "0.0.0.0"  # noqa: S104 - of its pod
    web.run_app(app, host=host, port=_PORT, ssl_context=tls, print=lambda _: None)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
