from __future__ import annotations

import aiohttp
import openai


async def test_an_offer_is_answered_with_sdp_and_a_relative_location(
    http: aiohttp.ClientSession, working_key: dict[str, str]
) -> None:
    headers = {**working_key, "Content-Type": "application/sdp"}
    async with http.post("realtime/calls?model=m", data=b"v=0\r\n", headers=headers) as response:
        answer = await response.read()

    assert response.status == 201
    assert response.headers["content-type"] == "application/sdp"
    assert response.headers["location"].startswith("/v1/realtime/calls/rtc_")
    assert answer.startswith(b"v=0\r\n")


async def test_the_sdk_sends_the_offer_beside_the_session(sdk: openai.AsyncOpenAI) -> None:
    answer = await sdk.realtime.calls.create(
        sdp="v=0\r\n", session={"type": "realtime", "model": "gpt-realtime"}
    )
    await sdk.realtime.calls.hangup("rtc_1")

    assert answer.text.startswith("v=0\r\n")


async def test_a_client_secret_is_short_lived(sdk: openai.AsyncOpenAI) -> None:
    secret = await sdk.realtime.client_secrets.create(session={"type": "realtime"})

    assert secret.value.startswith("ek_")


async def test_an_offer_must_not_be_empty(
    http: aiohttp.ClientSession, working_key: dict[str, str]
) -> None:
    async with http.post("realtime/calls", headers=working_key) as response:
        assert response.status == 400
