"""Login on another device: the person types a code there (RFC 8628)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from keyturn_cli.command_error import CommandError
from keyturn_cli.exit_codes import ExitCode
from keyturn_cli.oidc_http import OK, IssuerAnswer, IssuerUnreachableError
from keyturn_cli.oidc_need import LoginNeed
from keyturn_cli.oidc_tokens import LoginSide, token_failure
from keyturn_cli.owner_token import OwnerToken
from svc_runtime.secret_bytes import SecretBytes

_GRANT_TYPE: Final = "urn:ietf:params:oauth:grant-type:device_code"
_DEFAULT_INTERVAL: Final = 5.0  # seconds; section 3.2
_SLOWER_BY: Final = 5.0  # seconds; section 3.5
_LONGEST_INTERVAL: Final = 60.0  # seconds; a longer one would miss the person's answer


@dataclass(frozen=True, slots=True)
class DeviceCode:
    """What the person is shown, and what only the issuer is.

    Attributes:
        user_code: What the person types.
        verification_uri: Where.
        complete_uri: The same with the code in it; empty when the issuer has none.
        secret: The device code.
        expire_seconds: How long both codes live.
        interval: Seconds between two questions, at least.
    """

    user_code: str
    verification_uri: str
    complete_uri: str
    secret: SecretBytes
    expire_seconds: float
    interval: float


class DeviceLogin:
    """Login by a code that the person types on any device with a browser."""

    def __init__(
        self,
        side: LoginSide,
        show: Callable[[DeviceCode], None],
        need: LoginNeed,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Log in at the issuer of *side*.

        Args:
            side: The command as a client of the issuer.
            show: Brings the code to the person.
            need: What the login must be like.
            sleep: Lets seconds pass.
        """
        self._side = side
        self._show = show
        self._need = need
        self._sleep = sleep

    async def obtain_token(self) -> OwnerToken:
        """Have a code made, show it, and ask until the person has answered or it has expired.

        Raises:
            CommandError: The login was refused, took too long, or cannot be believed.
        """
        form = {
            "scope": self._side.metadata.scopes(self._side.settings.scopes),
            **self._need.parameters(),
        }
        code = _device_code(await self._side.request(self._side.metadata.device_url, form))
        end = self._side.clock.monotonic() + code.expire_seconds
        self._show(code)
        answer = await self._poll(code, end)
        return await self._side.login_of(answer, max_age_seconds=self._need.max_age_seconds)

    async def _poll(self, code: DeviceCode, end: float) -> IssuerAnswer:
        """Return the answer that is the person's own, or none at all (sections 3.4 and 3.5)."""
        interval = code.interval
        form = {"grant_type": _GRANT_TYPE, "device_code": code.secret.expose().decode()}
        while self._side.clock.monotonic() + interval <= end:
            await self._sleep(interval)
            answer: IssuerAnswer | None
            try:
                answer = await self._side.request(self._side.metadata.token_url, form)
            except IssuerUnreachableError:
                answer = None
            if answer is None or answer.is_outage:
                interval = min(interval * 2, _LONGEST_INTERVAL)
                continue
            match answer.text("error"):
                case "authorization_pending":
                    continue
                case "slow_down":
                    interval = min(interval + _SLOWER_BY, _LONGEST_INTERVAL)
                case "access_denied":
                    raise CommandError("The login was refused at the issuer.", ExitCode.REFUSED)
                case "expired_token":
                    break
                case _:
                    return answer
        raise CommandError(
            "The code has expired before the login was done.", ExitCode.REFUSED, hint="Try again."
        )


def _device_code(answer: IssuerAnswer) -> DeviceCode:
    if answer.status != OK:
        raise token_failure(answer)
    texts = [answer.text(name) for name in ("device_code", "user_code", "verification_uri")]
    expire_seconds = _seconds(answer.document.get("expires_in"), 0.0)
    if not all(texts) or expire_seconds <= 0:
        raise CommandError(
            "The issuer's answer is none that RFC 8628 knows.",
            ExitCode.UNAVAILABLE,
            hint="Log in by browser: `keyturn login --browser`.",
        )
    return DeviceCode(
        user_code=texts[1],
        verification_uri=texts[2],
        complete_uri=answer.text("verification_uri_complete"),
        secret=SecretBytes(texts[0].encode()),
        expire_seconds=expire_seconds,
        interval=min(
            max(_seconds(answer.document.get("interval"), _DEFAULT_INTERVAL), 1.0),
            _LONGEST_INTERVAL,
        ),
    )


def _seconds(value: object, otherwise: float) -> float:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else otherwise
