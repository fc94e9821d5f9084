"""Login in the browser: authorization code with PKCE, back to a loopback port."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Final
from urllib.parse import urlencode, urlsplit

from keyturn_cli.command_error import CommandError
from keyturn_cli.exit_codes import ExitCode
from keyturn_cli.oidc_loopback import loopback_listener
from keyturn_cli.oidc_need import LoginNeed
from keyturn_cli.oidc_tokens import LoginSide, error_code
from keyturn_cli.owner_token import OwnerToken

_WAIT_SECONDS: Final = 300.0  # for a person who looks for a phone; codes rarely live longer


class BrowserLogin:
    """Login by a browser on this machine, which alone sees the person's password."""

    def __init__(
        self,
        side: LoginSide,
        show: Callable[[str], Awaitable[None]],
        need: LoginNeed,
        *,
        wait_seconds: float = _WAIT_SECONDS,
    ) -> None:
        """Log in at the issuer of *side*.

        Args:
            side: The command as a client of the issuer.
            show: Brings a URL to the person, such as by opening a browser.
            need: What the login must be like.
            wait_seconds: How long the person may take.
        """
        self._side = side
        self._show = show
        self._need = need
        self._wait_seconds = wait_seconds

    async def obtain_token(self) -> OwnerToken:
        """Send the person to the issuer, take the code they come back with, turn it into tokens.

        1. Listen for the browser's way back.
        2. Send it to the issuer, with a state, a nonce and a challenge of this login alone.
        3. Believe an answer with that state only, and only from this issuer (RFC 9207).
        4. Show the issuer the code with the challenge's secret, and check what it gives.

        Raises:
            CommandError: The login was refused, took too long, or cannot be believed.
        """
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        port = self._side.settings.redirect_port
        async with loopback_listener(state, port) as listener:  # (1)
            redirect_uri = listener.redirect_uri
            await self._show(self._url(redirect_uri, state, nonce, verifier))  # (2)
            parameters = await listener.answer(self._wait_seconds)  # (3)
        code = self._code_of(parameters)
        answer = await self._side.request(  # (4)
            self._side.metadata.token_url,
            {
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": redirect_uri,
                "code_verifier": verifier,
            },
        )
        max_age_seconds = self._need.max_age_seconds
        return await self._side.login_of(answer, nonce=nonce, max_age_seconds=max_age_seconds)

    def _url(self, redirect_uri: str, state: str, nonce: str, verifier: str) -> str:
        digest = hashlib.sha256(verifier.encode()).digest()
        metadata, settings = self._side.metadata, self._side.settings
        query = {
            "response_type": "code",
            "client_id": settings.client_id,
            "redirect_uri": redirect_uri,
            "scope": metadata.scopes(settings.scopes),
            "state": state,
            "nonce": nonce,
            "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
            "code_challenge_method": "S256",
            **self._need.parameters(),
        }
        joint = "&" if urlsplit(metadata.authorization_url).query else "?"
        return f"{metadata.authorization_url}{joint}{urlencode(query)}"

    def _code_of(self, parameters: Mapping[str, str]) -> str:
        metadata = self._side.metadata
        if parameters.get("iss", None if metadata.sends_issuer else metadata.issuer) != (
            metadata.issuer
        ):
            raise CommandError(
                "The browser came back from another issuer than it was sent to.",
                ExitCode.REFUSED,
                hint="Nothing was done with its answer. Tell your operator.",
            )
        if code := parameters.get("code"):
            return code
        cause = error_code(parameters.get("error", "")) or "no reason given"
        raise CommandError(f"The issuer refused the login ({cause}).", ExitCode.REFUSED)
