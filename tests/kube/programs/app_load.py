"""An app that calls at a steady rate until its input ends: `app_load FOLDER KEY RATE`.

FOLDER has its certificate and its token. Nothing is retried. Prints what became of the calls, as
JSON: `served` by kind, `failures` by kind and by what was heard, for how many `seconds` it called,
and the `lag`: by how many seconds a call was made too late, at most, because the machine was busy.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import ssl
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import aiohttp
import grpc

from keyturn.gateway.v1 import chat_completion_service_pb2 as chat_service_pb
from keyturn.gateway.v1.chat_completion_service_pb2_grpc import ChatCompletionServiceStub
from svc_runtime.error_details import reason_of
from tests.e2e.clients import parameters

_GRPC: Final = "dns:///keyturn-gateway-svc-grpc.keyturn-system.svc.cluster.local:8443"
_HTTP: Final = "https://keyturn-gateway-svc.keyturn-system.svc"
_SECONDS: Final = 30.0
_WORDS: Final = "word " * 40  # a stream of two seconds from the slow model
_ANSWER: Final = f"You said: {_WORDS}"
_SLOW: Final = "gpt-4o-mini-slow"
# One cycle; the last of it is a stream, and every fifth time an event stream.
_MIX: Final = (*("grpc", "http") * 4, "grpc", "grpc-stream")
_CYCLES: Final = 5

Ask = Callable[[], Awaitable[str]]


class _App:
    def __init__(self, folder: Path, key: str) -> None:
        self._folder = folder
        self._key = key
        self._grpc: grpc.aio.Channel
        self._http: aiohttp.ClientSession

    async def run(self, rate: float, is_over: asyncio.Event) -> dict[str, object]:
        """Call until *is_over*, and wait for the calls under way."""
        served: Counter[str] = Counter()
        failures: Counter[str] = Counter()

        async def count(kind: str, ask: Ask) -> None:
            failure = await ask()
            if failure:
                failures[f"{kind}: {failure}"] += 1
            else:
                served[kind] += 1

        asks = {
            "grpc": self._by_grpc,
            "grpc-stream": self._by_grpc_stream,
            "http": self._by_http,
            "http-stream": self._by_http_stream,
        }
        async with self._channel() as self._grpc, self._session() as self._http:
            lag, begun = 0.0, time.monotonic()
            async with asyncio.TaskGroup() as calls:
                for number in itertools.count():
                    kind = _MIX[number % len(_MIX)]
                    if number % (len(_MIX) * _CYCLES) == len(_MIX) - 1:
                        kind = "http-stream"
                    calls.create_task(count(kind, asks[kind]))
                    pause = begun + number / rate - time.monotonic()
                    lag = max(lag, -pause)
                    await asyncio.sleep(max(pause, 0))
                    if is_over.is_set():
                        break
                seconds = time.monotonic() - begun
        return {"served": served, "failures": failures, "seconds": seconds, "lag": lag}

    def _channel(self) -> grpc.aio.Channel:
        ca, key, certificate = (
            (self._folder / name).read_bytes() for name in ("ca.crt", "tls.key", "tls.crt")
        )
        options = (("grpc.lb_policy_name", "round_robin"), ("grpc.enable_http_proxy", 0))
        credentials = grpc.ssl_channel_credentials(ca, key, certificate)
        return grpc.aio.secure_channel(_GRPC, credentials, options=options)

    def _session(self) -> aiohttp.ClientSession:
        tls = ssl.create_default_context(cafile=str(self._folder / "ca.crt"))
        token = (self._folder / "token").read_text(encoding="ascii")
        return aiohttp.ClientSession(
            _HTTP,
            connector=aiohttp.TCPConnector(ssl=tls),
            headers={"authorization": f"Bearer {token}", "x-keyturn-key": self._key},
            timeout=aiohttp.ClientTimeout(total=_SECONDS),
        )

    async def _by_grpc(self) -> str:
        request = chat_service_pb.CreateChatCompletionRequest(parameters=parameters())
        try:
            await ChatCompletionServiceStub(self._grpc).CreateChatCompletion(
                request, timeout=_SECONDS, metadata=(("x-keyturn-key", self._key),)
            )
        except grpc.aio.AioRpcError as error:
            return _told(error)
        return ""

    async def _by_grpc_stream(self) -> str:
        request = chat_service_pb.StreamChatCompletionRequest(
            parameters=parameters(_WORDS, model=_SLOW)
        )
        try:
            stream = ChatCompletionServiceStub(self._grpc).StreamChatCompletion(
                request, timeout=_SECONDS, metadata=(("x-keyturn-key", self._key),)
            )
            pieces = [c.delta.content async for part in stream for c in part.chunk.choices]
        except grpc.aio.AioRpcError as error:
            return _told(error)
        return "" if "".join(pieces) == _ANSWER else "garbled"

    async def _by_http(self) -> str:
        return await self._post("hello", "gpt-4o-mini", is_stream=False)

    async def _by_http_stream(self) -> str:
        return await self._post(_WORDS, _SLOW, is_stream=True)

    async def _post(self, text: str, model: str, *, is_stream: bool) -> str:
        said = {"model": model, "messages": [{"role": "user", "content": text}]}
        try:
            async with self._http.post(
                "/v1/chat/completions", json=said | {"stream": is_stream}
            ) as response:
                body = await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            return repr(error)
        if not response.ok:
            return f"{response.status} {_code(body)}"
        is_whole = not is_stream or body.endswith(b"data: [DONE]\n\n")
        return "" if is_whole else "cut"


def _told(error: grpc.aio.AioRpcError) -> str:
    return f"{error.code().name} {reason_of(error) or error.details()}"


def _code(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"]["code"])
    except (ValueError, LookupError, TypeError):
        return repr(body)


async def _main(folder: Path, key: str, rate: float) -> None:
    is_over = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), is_over.set)
    print(json.dumps(await _App(folder, key).run(rate, is_over)))  # noqa: T201  # its one output


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])))
