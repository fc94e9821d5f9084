"""A small OIDC issuer with the device flow (RFC 8628), refresh tokens and revocation.

OpenBao's provider has neither. Real HTTPS, real signed tokens; it keeps strictly to the RFC.
"""

from __future__ import annotations

import asyncio
import secrets
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from svc_runtime.clock import Clock
from tests.aiohttp_sites import end

CLIENT_ID: Final = "keyturn-cli"
EXPIRE_SECONDS: Final = 600
_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
_KEY_ID: Final = "k1"


@dataclass
class PendingLogin:
    """One device code.

    Attributes:
        asked: The parameters of the device's request.
        person: Who has agreed; None while nobody has.
        interval: Seconds that the device must let pass between two questions.
        asked_at: When it asked last, on the issuer's monotonic clock.
    """

    user_code: str
    asked: dict[str, str]
    end: float
    interval: float
    asked_at: float
    person: str | None = None
    is_denied: bool = False
    is_spent: bool = False


@dataclass
class DeviceIssuer:
    """The issuer, and what its people and its operator do.

    Attributes:
        interval: Seconds between two questions; None leaves it out of the answer.
        person: Who agrees to every login at once; None to let them wait.
        claims: What every ID token says besides.
        is_away: Whether every request fails with 503.
        is_slower_than_it_says: Whether it asks every device once to slow down.
        polls: The status or the error of each answer to a device.
        revoked: Refresh tokens that were given back.
    """

    clock: Clock
    interval: int | None = 5
    person: str | None = None
    claims: dict[str, object] = field(default_factory=dict)
    gives_refresh_tokens: bool = False
    is_away: bool = False
    is_slower_than_it_says: bool = False
    url: str = ""
    polls: list[str] = field(default_factory=list)
    revoked: list[str] = field(default_factory=list)
    logins: dict[str, PendingLogin] = field(default_factory=dict)
    refresh_tokens: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())

    def agree(self, user_code: str, person: str) -> None:
        """Log *person* in and let the device that shows *user_code* have the login."""
        self._shown(user_code).person = person

    def deny(self, user_code: str) -> None:
        """Refuse the device that shows *user_code*."""
        self._shown(user_code).is_denied = True

    def _shown(self, user_code: str) -> PendingLogin:
        return next(login for login in self.logins.values() if login.user_code == user_code)

    def application(self) -> web.Application:
        """Return the HTTP side."""
        app = web.Application(middlewares=[self._gate])
        app.router.add_get("/.well-known/openid-configuration", self._discovery)
        app.router.add_get("/keys", self._keys)
        app.router.add_post("/device_authorization", self._device_authorization)
        app.router.add_post("/token", self._token)
        app.router.add_post("/revoke", self._revoke)
        return app

    @web.middleware
    async def _gate(
        self,
        request: web.Request,
        handler: web.Handler,  # type: ignore[name-defined]  # aiohttp's
    ) -> web.StreamResponse:
        if self.is_away:
            return web.Response(status=503)
        answer: web.StreamResponse = await handler(request)
        return answer

    async def _discovery(self, _: web.Request) -> web.Response:
        scopes = ["openid", "profile", *(["offline_access"] if self.gives_refresh_tokens else [])]
        return web.json_response(
            {
                "issuer": self.url,
                "jwks_uri": f"{self.url}/keys",
                "token_endpoint": f"{self.url}/token",
                "device_authorization_endpoint": f"{self.url}/device_authorization",
                "revocation_endpoint": f"{self.url}/revoke",
                "scopes_supported": scopes,
            }
        )

    async def _keys(self, _: web.Request) -> web.Response:
        public = ECAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        return web.json_response({"keys": [public | {"kid": _KEY_ID, "alg": "ES256"}]})

    async def _device_authorization(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        if form.get("client_id") != CLIENT_ID:
            return _error("invalid_client", 401)
        if "openid" not in form.get("scope", "").split():
            return _error("invalid_scope")
        now, device_code = self.clock.monotonic(), secrets.token_urlsafe(32)
        login = PendingLogin(
            user_code=f"{secrets.token_hex(2)}-{secrets.token_hex(2)}".upper(),
            asked=form,
            end=now + EXPIRE_SECONDS,
            interval=5 if self.interval is None else self.interval,
            asked_at=now,
            person=self.person,
        )
        self.logins[device_code] = login
        answer: dict[str, object] = {
            "device_code": device_code,
            "user_code": login.user_code,
            "verification_uri": f"{self.url}/device",
            "verification_uri_complete": f"{self.url}/device?user_code={login.user_code}",
            "expires_in": EXPIRE_SECONDS,
        }
        return web.json_response(answer | ({"interval": self.interval} if self.interval else {}))

    async def _token(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        if form.get("client_id") != CLIENT_ID:
            return _error("invalid_client", 401)
        if form.get("grant_type") == "refresh_token":
            return self._refreshed(form.get("refresh_token", ""))
        if form.get("grant_type") != _GRANT:
            return _error("unsupported_grant_type")
        error = self._poll(self.logins.get(form.get("device_code", "")))
        self.polls.append(error or "ok")
        if error:
            return _error(error)
        return self._tokens(self.logins[form["device_code"]])

    def _poll(self, login: PendingLogin | None) -> str:
        """Return the error of RFC 8628, section 3.5, or nothing when the login is there."""
        if login is None or login.is_spent:
            return "invalid_grant"
        now = self.clock.monotonic()
        is_hasty = now < login.asked_at + login.interval
        login.asked_at = now
        if now > login.end:
            return "expired_token"
        if is_hasty or self.is_slower_than_it_says:
            self.is_slower_than_it_says = False
            login.interval += 5
            return "slow_down"
        if login.is_denied:
            return "access_denied"
        if login.person is None:
            return "authorization_pending"
        login.is_spent = True
        return ""

    def _tokens(self, login: PendingLogin) -> web.Response:
        assert login.person is not None
        fresh = {"auth_time": int(self.clock.now().timestamp())} if "max_age" in login.asked else {}
        return self._answer(login.person, {**fresh, **self.claims})

    def _refreshed(self, token: str) -> web.Response:
        person = self.refresh_tokens.pop(token, None)
        return _error("invalid_grant") if person is None else self._answer(person, self.claims)

    def _answer(self, person: str, claims: dict[str, object]) -> web.Response:
        now = self.clock.now()
        id_token = jwt.encode(
            {
                "iss": self.url,
                "aud": CLIENT_ID,
                "sub": f"id-of-{person}",
                "preferred_username": person,
                "iat": now,
                "exp": now + timedelta(hours=1),
                **claims,
            },
            self._key,
            algorithm="ES256",
            headers={"kid": _KEY_ID},
        )
        answer = {"token_type": "Bearer", "access_token": "opaque", "id_token": id_token}
        if self.gives_refresh_tokens:
            refresh_token = secrets.token_urlsafe(16)
            self.refresh_tokens[refresh_token] = person
            answer["refresh_token"] = refresh_token
        return web.json_response(answer, headers={"Cache-Control": "no-store"})

    async def _revoke(self, request: web.Request) -> web.Response:
        token = str((await request.post()).get("token", ""))
        self.revoked.append(token)
        self.refresh_tokens.pop(token, None)
        return web.Response()


def _error(code: str, status: int = 400) -> web.Response:
    return web.json_response({"error": code, "error_description": "<b>any text</b>"}, status=status)


@contextmanager
def serving(issuer: DeviceIssuer, certificate: tuple[Path, Path]) -> Iterator[DeviceIssuer]:
    """Serve *issuer* on a free port, in a thread of its own."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    loop, is_up = asyncio.new_event_loop(), threading.Event()
    over = asyncio.Event()

    async def serve() -> None:
        runner = web.AppRunner(issuer.application(), access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        issuer.url = f"https://127.0.0.1:{runner.addresses[0][1]}"
        is_up.set()
        await over.wait()
        await end(runner)

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    try:
        assert is_up.wait(10)
        yield issuer
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(10)
        loop.close()
