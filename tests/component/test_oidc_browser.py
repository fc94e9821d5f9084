"""Login in a browser, at a real OIDC provider."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest

from keyturn_cli.command_error import CommandError
from keyturn_cli.exit_codes import ExitCode
from keyturn_cli.local.openbao_server import OpenBaoServer
from keyturn_cli.oidc_browser import BrowserLogin
from keyturn_cli.oidc_login import login_side
from keyturn_cli.oidc_need import LoginNeed
from keyturn_cli.oidc_settings import OIDCSettings
from keyturn_cli.oidc_tokens import LoginSide
from keyturn_cli.owner_token import OwnerToken
from svc_runtime.secret_bytes import SecretBytes
from tests.component.oidc_provider import Client, Person, add_client, come_back

Change = Callable[[dict[str, str]], dict[str, str]]


@pytest.fixture(scope="module")
def person(openbao: OpenBaoServer) -> Person:
    return Person(openbao, "bianca")


@pytest.fixture(scope="module")
def client(openbao: OpenBaoServer) -> Client:
    return add_client(openbao, "public", is_public=True)


@pytest.fixture
def settings(openbao: OpenBaoServer, client: Client) -> OIDCSettings:
    return OIDCSettings(
        client.issuer, client.client_id, ca_file=openbao.ca_file, scopes="openid profile"
    )


@pytest.fixture
async def side(settings: OIDCSettings) -> AsyncIterator[LoginSide]:
    async with login_side(settings, 10) as side:
        yield side


class Browser:
    """The person's browser; what it brings back can be changed on the way.

    Attributes:
        urls: Where it was sent.
        pages: Status and text of what it saw at the end.
    """

    def __init__(self, person: Person, change: Change = lambda p: p) -> None:
        self._person = person
        self._change = change
        self._coming: list[asyncio.Task[None]] = []
        self.urls: list[str] = []
        self.pages: list[tuple[int, str]] = []

    async def __call__(self, url: str) -> None:
        self.urls.append(url)
        self._coming.append(asyncio.create_task(self._go(url)))

    async def _go(self, url: str) -> None:
        redirect_uri = parse_qs(urlsplit(url).query)["redirect_uri"][0]
        brought = await asyncio.to_thread(self._person.authorize, url)
        page = await asyncio.to_thread(come_back, redirect_uri, self._change(brought))
        self.pages.append(page)


async def _log_in(
    side: LoginSide, show: Callable[[str], Awaitable[None]], need: LoginNeed | None = None
) -> OwnerToken:
    return await BrowserLogin(side, show, need or LoginNeed(), wait_seconds=10).obtain_token()


def _claims(token: OwnerToken) -> dict[str, object]:
    claims: dict[str, object] = jwt.decode(
        token.secret.expose(), options={"verify_signature": False}
    )
    return claims


async def test_a_login_in_the_browser_gives_the_person_s_id_token(
    side: LoginSide, person: Person, client: Client
) -> None:
    browser = Browser(person)

    token = await _log_in(side, browser)

    assert token.unverified_name == "bianca"
    assert (_claims(token)["iss"], _claims(token)["aud"]) == (client.issuer, client.client_id)
    assert token.refresh is None


async def test_the_browser_is_told_that_the_login_is_done(side: LoginSide, person: Person) -> None:
    browser = Browser(person)

    await _log_in(side, browser)
    await asyncio.gather(*browser._coming)

    [(status, page)] = browser.pages
    assert (status, "The login is done." in page) == (200, True)


async def test_each_login_has_a_state_a_nonce_and_a_challenge_of_its_own(
    side: LoginSide, person: Person
) -> None:
    browser = Browser(person)

    for _ in range(2):
        await _log_in(side, browser)

    first, second = (parse_qs(urlsplit(url).query) for url in browser.urls)
    assert first["code_challenge_method"] == ["S256"]
    assert all(first[name] != second[name] for name in ("state", "nonce", "code_challenge"))


async def test_a_fresh_login_tells_when_it_was(side: LoginSide, person: Person) -> None:
    browser = Browser(person)

    token = await _log_in(side, browser, LoginNeed(max_age_seconds=60, acr=("gold", "silver")))

    claims, asked = _claims(token), parse_qs(urlsplit(browser.urls[0]).query)
    assert isinstance(claims["auth_time"], int)
    assert (asked["max_age"], asked["prompt"], asked["acr_values"]) == (
        ["60"],
        ["login"],
        ["gold silver"],
    )


async def test_a_client_with_a_secret_shows_it(openbao: OpenBaoServer, person: Person) -> None:
    client = add_client(openbao, "confidential", is_public=False)
    settings = OIDCSettings(
        client.issuer,
        client.client_id,
        client_secret=SecretBytes(client.secret.encode()),
        ca_file=openbao.ca_file,
    )
    async with login_side(settings, 10) as side:
        token = await _log_in(side, Browser(person))
        in_form = replace(side, metadata=replace(side.metadata, takes_secret_in_header=False))
        another = await _log_in(in_form, Browser(person))

    assert token.unverified_name == another.unverified_name == "bianca"


async def test_a_client_without_its_secret_is_refused_as_wrong_usage(
    openbao: OpenBaoServer, person: Person
) -> None:
    client = add_client(openbao, "confidential", is_public=False)
    settings = OIDCSettings(client.issuer, client.client_id, ca_file=openbao.ca_file)

    async with login_side(settings, 10) as side:
        with pytest.raises(CommandError, match="does not take this client") as raised:
            await _log_in(side, Browser(person))

    assert raised.value.exit_code == ExitCode.USAGE


async def test_an_answer_without_the_state_is_ignored(side: LoginSide, person: Person) -> None:
    forged: list[tuple[int, str]] = []

    async def show(url: str) -> None:
        redirect_uri = parse_qs(urlsplit(url).query)["redirect_uri"][0]
        for state in ({}, {"state": ""}, {"state": "another"}):
            answer = {"code": "stolen", **state}
            forged.append(await asyncio.to_thread(come_back, redirect_uri, answer))
        await Browser(person)(url)

    token = await _log_in(side, show)

    assert token.unverified_name == "bianca"
    assert [status for status, _ in forged] == [400, 400, 400]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda p: p | {"code": "another"}, "invalid_grant"),
        (lambda p: p | {"iss": "https://evil.example"}, "another issuer"),
        (lambda p: {"state": p["state"], "error": "access_denied"}, "access_denied"),
        (lambda p: {"state": p["state"], "error": "<b>Pay here</b>"}, "no reason given"),
        (lambda p: {"state": p["state"]}, "no reason given"),
    ],
    ids=["another code", "another issuer", "refused", "odd words", "nothing"],
)
async def test_an_answer_that_is_no_login_is_refused(
    side: LoginSide, person: Person, change: Change, told: str
) -> None:
    with pytest.raises(CommandError) as raised:
        await _log_in(side, Browser(person, change))

    assert raised.value.exit_code == ExitCode.REFUSED
    assert told in raised.value.text


async def test_an_issuer_that_names_itself_must_do_so(side: LoginSide, person: Person) -> None:
    strict = replace(side, metadata=replace(side.metadata, sends_issuer=True))

    with pytest.raises(CommandError, match="another issuer"):
        await _log_in(strict, Browser(person))

    named = Browser(person, lambda p: p | {"iss": side.metadata.issuer})
    assert (await _log_in(strict, named)).unverified_name == "bianca"


async def test_a_code_of_another_login_is_refused_by_its_challenge(
    side: LoginSide, person: Person
) -> None:
    stolen: list[str] = []

    def keep(parameters: dict[str, str]) -> dict[str, str]:
        stolen.append(parameters["code"])
        return parameters | {"code": "used up elsewhere"}

    with pytest.raises(CommandError):
        await _log_in(side, Browser(person, keep))
    with pytest.raises(CommandError, match="invalid_grant"):
        await _log_in(side, Browser(person, lambda p: p | {"code": stolen[0]}))


async def test_a_person_who_does_not_come_back_is_not_waited_for_forever(side: LoginSide) -> None:
    async def show(_: str) -> None:
        """Do nothing, as a person who went home."""

    with pytest.raises(CommandError, match="did not come back") as raised:
        await BrowserLogin(side, show, LoginNeed(), wait_seconds=0.01).obtain_token()

    assert raised.value.exit_code == ExitCode.REFUSED


async def test_a_token_for_another_client_is_not_accepted(
    openbao: OpenBaoServer, side: LoginSide, person: Person
) -> None:
    other = add_client(openbao, "other", is_public=True)
    confused = replace(side, settings=replace(side.settings, client_id=other.client_id))

    token = await _log_in(confused, Browser(person))

    with pytest.raises(CommandError, match="signature, issuer, audience or time"):
        await side._verified(token.secret.expose().decode())


async def test_an_issuer_must_call_itself_as_the_settings_do(settings: OIDCSettings) -> None:
    with pytest.raises(CommandError, match="how the issuer calls itself") as raised:
        async with login_side(replace(settings, issuer=settings.issuer + "/"), 10):
            """It is refused before."""

    assert raised.value.exit_code == ExitCode.USAGE


@pytest.mark.parametrize(
    ("issuer", "exit_code"),
    [
        ("{address}/v1/sys", ExitCode.USAGE),
        ("https://127.0.0.1:1", ExitCode.UNAVAILABLE),
        ("http://127.0.0.1:1", ExitCode.USAGE),
    ],
    ids=["no issuer", "nobody there", "in the clear"],
)
async def test_what_is_no_issuer_is_told(
    openbao: OpenBaoServer, issuer: str, exit_code: ExitCode
) -> None:
    settings = OIDCSettings(issuer.format(address=openbao.address), "x", ca_file=openbao.ca_file)

    with pytest.raises(CommandError) as raised:
        async with login_side(settings, 10):
            """It is refused before."""

    assert raised.value.exit_code == exit_code


async def test_an_issuer_of_another_ca_is_not_trusted(settings: OIDCSettings) -> None:
    with pytest.raises(CommandError, match="not trusted") as raised:
        async with login_side(replace(settings, ca_file=None), 10):
            """It is refused before."""

    assert raised.value.exit_code == ExitCode.USAGE
