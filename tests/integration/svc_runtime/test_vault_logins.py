"""Each login against a real OpenBao; only the Kubernetes API is a fake."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.vault.errors import VaultUnavailableError
from svc_runtime.vault.session import VaultSession
from tests.integration.svc_runtime.fake_kubernetes_api import FakeKubernetesAPI
from tests.integration.svc_runtime.login_sides import (
    CertificateSide,
    JWTSide,
    KubernetesSide,
    LoginSide,
    TokenFileSide,
)
from tests.integration.svc_runtime.vault_side import VaultSide, answers, encrypt, eventually

SHORT_TTL = "3s"
LONG_TTL = "10m"


@pytest.fixture
async def kubernetes(vault_side: VaultSide) -> AsyncIterator[KubernetesSide]:
    async with FakeKubernetesAPI(vault_side.folder) as api:
        yield KubernetesSide(vault_side.openbao.client(), vault_side.folder, api=api)


@pytest.fixture
def jwt(vault_side: VaultSide) -> JWTSide:
    return JWTSide(vault_side.openbao.client(), vault_side.folder)


@pytest.fixture
def certificate(vault_side: VaultSide) -> CertificateSide:
    return CertificateSide(vault_side.openbao.client(), vault_side.folder)


@pytest.fixture
def token_file(vault_side: VaultSide) -> TokenFileSide:
    return TokenFileSide(vault_side.openbao.client(), vault_side.folder)


@pytest.fixture(params=["kubernetes", "jwt", "certificate", "token_file"])
def side(request: pytest.FixtureRequest) -> LoginSide:
    found: LoginSide = request.getfixturevalue(request.param)
    return found


@pytest.fixture(params=["kubernetes", "jwt", "certificate"])
def issuing_side(request: pytest.FixtureRequest) -> LoginSide:
    found: LoginSide = request.getfixturevalue(request.param)
    return found


async def test_a_session_logs_in_and_serves(vault_side: VaultSide, side: LoginSide) -> None:
    side.set_up(LONG_TTL)

    async with vault_side.session(side.login) as session:
        assert session.is_ready
        assert (await session.call(encrypt("x"), {}))["data"]


async def test_a_session_logs_in_anew_after_its_token_was_revoked(
    vault_side: VaultSide, side: LoginSide
) -> None:
    side.set_up(LONG_TTL)
    with capture_logs() as events:
        async with vault_side.session(side.login) as session:
            side.revoke()

            served = await asyncio.gather(*(session.call(encrypt("x"), {}) for _ in range(5)))

    assert len(served) == 5
    assert _count(events, "vault_login") == 2


async def test_a_token_of_a_login_is_renewed_before_it_expires(
    vault_side: VaultSide, issuing_side: LoginSide
) -> None:
    issuing_side.set_up(SHORT_TTL)
    with capture_logs() as events:
        async with vault_side.session(issuing_side.login) as session:
            await eventually(_happened(events, "vault_token_renewed"))

            assert session.is_ready
            assert (await session.call(encrypt("x"), {}))["data"]
    assert _count(events, "vault_login") == 1


async def test_a_token_of_a_login_is_revoked_at_the_end(
    vault_side: VaultSide, issuing_side: LoginSide
) -> None:
    issuing_side.set_up(LONG_TTL)
    async with vault_side.session(issuing_side.login) as session:
        token = _token(session)
        assert vault_side.is_known(token)

    assert not vault_side.is_known(token)


async def test_a_refused_credential_is_tried_again_until_it_is_replaced(
    vault_side: VaultSide, side: LoginSide
) -> None:
    side.set_up(LONG_TTL)
    side.put_wrong()
    with capture_logs() as events:
        async with vault_side.session(side.login) as session:
            was_ready = session.is_ready
            with pytest.raises(VaultUnavailableError):
                await session.call(encrypt("x"), {})
            await eventually(_happened(events, "vault_login_failed", times=2))

            side.put_right()
            await eventually(answers(session))

            assert (was_ready, session.is_ready) == (False, True)
    causes = {event["cause"] for event in events if event["event"] == "vault_login_failed"}
    assert causes == {side.refusal}


async def test_kubernetes_reviews_the_token_at_each_login(
    vault_side: VaultSide, kubernetes: KubernetesSide
) -> None:
    kubernetes.set_up(LONG_TTL)
    async with vault_side.session(kubernetes.login) as session:
        kubernetes.revoke()
        await session.call(encrypt("x"), {})

    assert kubernetes.api.reviews == 2


async def test_a_rotated_certificate_is_used_by_the_next_login(
    vault_side: VaultSide, certificate: CertificateSide
) -> None:
    certificate.set_up(LONG_TTL)
    async with vault_side.session(certificate.login) as session:
        first = _serial(vault_side, session)
        first_written = certificate.serial
        certificate.put_right()
        certificate.revoke()
        await session.call(encrypt("x"), {})

        second = _serial(vault_side, session)

    assert (first, second) == (first_written, certificate.serial)
    assert first != second


async def test_a_renewal_presents_the_certificate_of_the_login(
    vault_side: VaultSide, certificate: CertificateSide
) -> None:
    certificate.set_up(SHORT_TTL)
    with capture_logs() as events:
        async with vault_side.session(certificate.login) as session:
            certificate.put_right()
            certificate.revoke()
            await session.call(encrypt("x"), {})

            await eventually(_happened(events, "vault_token_renewed"))

    assert _count(events, "vault_token_renewal_failed") == 0


async def test_halves_of_a_pair_that_do_not_fit_are_no_credential(
    vault_side: VaultSide, certificate: CertificateSide
) -> None:
    certificate.set_up(LONG_TTL)
    key = certificate.login.key.read_bytes()
    certificate.put_right()
    newest_key = certificate.login.key.read_bytes()
    certificate.login.key.write_bytes(key)
    with capture_logs() as events:
        async with vault_side.session(certificate.login) as session:
            assert not session.is_ready

            certificate.login.key.write_bytes(newest_key)
            await eventually(answers(session))

    assert ("vault_login_failed", "the client certificate or its key cannot be used") in [
        (event["event"], event.get("cause")) for event in events
    ]


async def test_an_agent_renews_the_token_of_its_file_and_the_session_notices(
    vault_side: VaultSide, token_file: TokenFileSide
) -> None:
    token_file.set_up(SHORT_TTL)
    with capture_logs() as events:
        async with vault_side.session(token_file.login) as session:
            for logins in (2, 3, 4):
                token_file.renew()
                await eventually(_happened(events, "vault_login", times=logins))
                assert session.is_ready

            assert (await session.call(encrypt("x"), {}))["data"]
    assert _count(events, "vault_token_renewed") == 0


async def test_a_replaced_token_file_is_read_when_the_token_nears_its_end(
    vault_side: VaultSide, token_file: TokenFileSide
) -> None:
    token_file.set_up(SHORT_TTL)
    with capture_logs() as events:
        async with vault_side.session(token_file.login) as session:
            first = _token(session)
            token_file.put_right()

            await eventually(_happened(events, "vault_login", times=2))

            assert _token(session) != first
            assert _token(session).expose().decode() == token_file.login.file.read_text().strip()


async def test_a_token_of_a_file_is_not_revoked_at_the_end(
    vault_side: VaultSide, token_file: TokenFileSide
) -> None:
    token_file.set_up(LONG_TTL)
    async with vault_side.session(token_file.login) as session:
        token = _token(session)

    assert vault_side.is_known(token)


def _token(session: VaultSession) -> SecretBytes:
    keeper = session._keeper
    assert keeper is not None
    token = keeper.token
    assert token is not None
    return token


def _serial(vault_side: VaultSide, session: VaultSession) -> int:
    """Return the serial number of the certificate with which the present token was got."""
    client = vault_side.openbao.client()
    answer = client.auth.token.lookup(_token(session).expose().decode())
    return int(answer["data"]["meta"]["serial_number"])


def _count(events: list[EventDict], name: str) -> int:
    return [event["event"] for event in events].count(name)


def _happened(events: list[EventDict], name: str, times: int = 1) -> Callable[[], Awaitable[bool]]:
    async def condition() -> bool:
        return _count(events, name) >= times

    return condition
