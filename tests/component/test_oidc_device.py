"""Login by a code on another device, at an issuer that keeps strictly to RFC 8628."""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import jwt
import pytest
from cryptography import x509

from keyturn_cli.command_error import CommandError
from keyturn_cli.exit_codes import ExitCode
from keyturn_cli.oidc_device import DeviceCode, DeviceLogin
from keyturn_cli.oidc_discovery import discover
from keyturn_cli.oidc_http import issuer_http
from keyturn_cli.oidc_need import LoginNeed
from keyturn_cli.oidc_settings import OIDCSettings
from keyturn_cli.oidc_tokens import LoginSide
from tests.component.cli_stage import CertificateMaker
from tests.component.device_issuer import CLIENT_ID, EXPIRE_SECONDS, DeviceIssuer, serving
from tests.fakes.fake_clock import FakeClock

HOST: list[x509.GeneralName] = [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def issuer(tmp_path: Path, clock: FakeClock) -> Iterator[DeviceIssuer]:
    certificate = CertificateMaker(tmp_path, datetime.now(UTC)).issue("issuer", HOST)
    with serving(DeviceIssuer(clock), certificate) as issuer:
        yield issuer


@pytest.fixture
async def side(issuer: DeviceIssuer, tmp_path: Path, clock: FakeClock) -> AsyncIterator[LoginSide]:
    settings = OIDCSettings(issuer.url, CLIENT_ID, ca_file=tmp_path / "ca.pem")
    async with issuer_http(settings.ca_file, 10) as http:
        yield LoginSide(http, settings, await discover(http, settings.issuer), clock)


class Device:
    """The command as the person sees it, in a time that the test makes up.

    Attributes:
        shown: What it showed.
        slept: How long it waited, each time.
    """

    def __init__(
        self, side: LoginSide, clock: FakeClock, then: Callable[[int, DeviceCode], None]
    ) -> None:
        """Be at *side*; *then* is what happens after so many waits."""
        self._side = side
        self._clock = clock
        self._then = then
        self.shown: list[DeviceCode] = []
        self.slept: list[float] = []

    async def log_in(self, need: LoginNeed | None = None) -> str | None:
        """Log in and return the person's name."""
        login = DeviceLogin(self._side, self.shown.append, need or LoginNeed(), sleep=self._sleep)
        return (await login.obtain_token()).unverified_name

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self._clock.advance(seconds)
        self._then(len(self.slept), self.shown[-1])


def _nothing(_: int, __: DeviceCode) -> None:
    """Let nothing happen."""


def _agreeing(issuer: DeviceIssuer, after: int) -> Callable[[int, DeviceCode], None]:
    def then(waits: int, code: DeviceCode) -> None:
        if waits == after:
            issuer.agree(code.user_code, "alice")

    return then


async def test_a_person_who_types_the_code_is_logged_in(
    side: LoginSide, issuer: DeviceIssuer, clock: FakeClock
) -> None:
    device = Device(side, clock, _agreeing(issuer, 3))

    assert await device.log_in() == "alice"
    assert issuer.polls == ["authorization_pending", "authorization_pending", "ok"]
    assert device.slept == [5, 5, 5]
    [code] = device.shown
    assert code.verification_uri == f"{issuer.url}/device"
    assert code.complete_uri.endswith(code.user_code)


async def test_without_an_interval_it_is_five_seconds(
    side: LoginSide, issuer: DeviceIssuer, clock: FakeClock
) -> None:
    issuer.interval = None
    device = Device(side, clock, _agreeing(issuer, 1))

    assert await device.log_in() == "alice"
    assert device.slept == [5]


async def test_a_device_that_is_told_to_slow_down_waits_five_seconds_more_from_then_on(
    side: LoginSide, issuer: DeviceIssuer, clock: FakeClock
) -> None:
    issuer.is_slower_than_it_says = True
    device = Device(side, clock, _agreeing(issuer, 3))

    assert await device.log_in() == "alice"
    assert issuer.polls == ["slow_down", "authorization_pending", "ok"]
    assert device.slept == [5, 10, 10]


async def test_an_issuer_that_is_away_meanwhile_is_asked_less_often_and_loses_nothing(
    side: LoginSide, issuer: DeviceIssuer, clock: FakeClock
) -> None:
    def then(waits: int, code: DeviceCode) -> None:
        issuer.is_away = waits in {1, 2}
        if waits == 3:
            issuer.agree(code.user_code, "alice")

    device = Device(side, clock, then)

    assert await device.log_in() == "alice"
    assert device.slept == [5, 10, 20]


async def test_a_login_that_the_person_refuses_is_refused(
    side: LoginSide, issuer: DeviceIssuer, clock: FakeClock
) -> None:
    device = Device(side, clock, lambda _, code: issuer.deny(code.user_code))

    with pytest.raises(CommandError, match="refused at the issuer") as raised:
        await device.log_in()

    assert raised.value.exit_code == ExitCode.REFUSED


async def test_a_code_that_nobody_types_expires(
    side: LoginSide, issuer: DeviceIssuer, clock: FakeClock
) -> None:
    device = Device(side, clock, _nothing)

    with pytest.raises(CommandError, match="expired") as raised:
        await device.log_in()

    assert raised.value.exit_code == ExitCode.REFUSED
    assert EXPIRE_SECONDS - 5 <= sum(device.slept) <= EXPIRE_SECONDS
    assert set(issuer.polls) == {"authorization_pending"}


async def test_a_code_that_the_issuer_gave_up_is_told_as_expired(
    side: LoginSide, issuer: DeviceIssuer, clock: FakeClock
) -> None:
    def then(_: int, __: DeviceCode) -> None:
        for login in issuer.logins.values():
            login.end = 0

    with pytest.raises(CommandError, match="expired"):
        await Device(side, clock, then).log_in()

    assert issuer.polls == ["expired_token"]


async def test_a_code_that_the_issuer_does_not_know_is_refused_by_its_error_code_alone(
    side: LoginSide, issuer: DeviceIssuer, clock: FakeClock
) -> None:
    with pytest.raises(CommandError) as raised:
        await Device(side, clock, lambda _, __: issuer.logins.clear()).log_in()

    assert raised.value.text == "The issuer refused the login (invalid_grant)."


async def test_a_fresh_login_asks_for_it_and_gets_it(
    side: LoginSide, issuer: DeviceIssuer, clock: FakeClock
) -> None:
    need = LoginNeed(max_age_seconds=60, amr=("otp",), acr=("gold",))

    assert await Device(side, clock, _agreeing(issuer, 1)).log_in(need) == "alice"

    [login] = issuer.logins.values()
    assert login.asked["max_age"] == "60"
    assert login.asked["acr_values"] == "gold"


@pytest.mark.parametrize("auth_time", [None, "now", 0], ids=str)
async def test_a_login_that_is_not_as_fresh_as_was_asked_for_is_refused(
    side: LoginSide, issuer: DeviceIssuer, clock: FakeClock, auth_time: object
) -> None:
    issuer.claims = {"auth_time": auth_time}

    with pytest.raises(CommandError, match="without asking again"):
        await Device(side, clock, _agreeing(issuer, 1)).log_in(LoginNeed(max_age_seconds=60))


@pytest.mark.parametrize(
    ("claims", "told"),
    [
        ({"aud": "another"}, "signature, issuer, audience or time"),
        ({"iss": "https://evil.example"}, "signature, issuer, audience or time"),
        ({"exp": 1}, "signature, issuer, audience or time"),
        ({"aud": [CLIENT_ID, "another"]}, "several clients"),
        ({"aud": [CLIENT_ID, "another"], "azp": "another"}, "another client"),
        ({"azp": "another"}, "another client"),
    ],
    ids=str,
)
async def test_an_id_token_that_is_not_for_this_client_is_refused(
    side: LoginSide, issuer: DeviceIssuer, clock: FakeClock, claims: dict[str, object], told: str
) -> None:
    issuer.claims = claims

    with pytest.raises(CommandError, match=told) as raised:
        await Device(side, clock, _agreeing(issuer, 1)).log_in()

    assert raised.value.exit_code == ExitCode.REFUSED


async def test_a_token_with_another_nonce_answers_another_login(
    side: LoginSide, issuer: DeviceIssuer
) -> None:
    for nonce in (None, "another", 7):
        issuer.claims = {"nonce": nonce}
        issuer.refresh_tokens["r"] = "alice"
        form = {"grant_type": "refresh_token", "refresh_token": "r"}
        answer = await side.request(side.metadata.token_url, form)

        with pytest.raises(CommandError, match="answers another login"):
            await side.login_of(answer, nonce="ours")


async def test_what_a_refused_token_says_goes_to_no_log(
    side: LoginSide,
    issuer: DeviceIssuer,
    clock: FakeClock,
    capsys: pytest.CaptureFixture[str],
) -> None:
    issuer.claims = {"aud": "another"}

    with pytest.raises(CommandError):
        await Device(side, clock, _agreeing(issuer, 1)).log_in()

    assert capsys.readouterr() == ("", "")


async def test_a_token_signed_by_another_key_is_refused(
    side: LoginSide, issuer: DeviceIssuer, clock: FakeClock
) -> None:
    await side._verified(_signed_by_nobody(issuer, clock, "ES256", issuer._key))
    for algorithm, key in (("HS256", "x" * 32), ("none", None)):
        with pytest.raises(CommandError, match="signature"):
            await side._verified(_signed_by_nobody(issuer, clock, algorithm, key))


def _signed_by_nobody(issuer: DeviceIssuer, clock: FakeClock, algorithm: str, key: object) -> str:
    claims = {"iss": issuer.url, "aud": CLIENT_ID, "iat": clock.now(), "exp": clock.now()}
    return jwt.encode(claims, key, algorithm=algorithm, headers={"kid": "k1"})  # type: ignore[arg-type]  # also None
