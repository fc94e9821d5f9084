"""Every pod is replaced while apps call, and nobody notices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Final

import grpc
import openai
import pytest

from keyturn.gateway.v1 import chat_completion_service_pb2 as chat_service_pb
from keyturn.gateway.v1.chat_completion_service_pb2_grpc import ChatCompletionServiceStub
from svc_runtime.error_details import reason_of
from svc_runtime.secret_bytes import SecretBytes
from tests.e2e.clients import Clients, parameters
from tests.e2e.log_check import faults_of_logs
from tests.e2e.open_load import CALLS_PER_SECOND, grpc_app, http_app, load, sdk_app
from tests.e2e.pod_cluster import pod_cluster, stack_without_services
from tests.e2e.pods import Deployment

_DRAIN_SECONDS: Final = 60.0  # pods end once nobody is connected; this is for a busy machine
_PACED: Final = "gpt-4o-mini-paced"  # says nothing until it is let go
_REALTIME: Final = "/v1/realtime?model=gpt-realtime"


@pytest.fixture(scope="module", name="clients")
def _clients(
    tmp_path_factory: pytest.TempPathFactory, canary_key: SecretBytes, transcript: list[str]
) -> Iterator[Clients]:
    with stack_without_services(tmp_path_factory.mktemp("rolling"), canary_key) as clients:
        clients.transcript = transcript
        yield clients
    assert faults_of_logs(clients.stack.layout) == []


@pytest.mark.timeout(400)  # on a machine that is busy with other things; half a minute otherwise
async def test_no_call_fails_while_every_pod_is_replaced(clients: Clients) -> None:
    async with pod_cluster(clients, replicas=2, drain_seconds=_DRAIN_SECONDS) as cluster:
        deployments = (cluster.keyvault, cluster.gateway)
        async with load(clients, cluster.way) as tally:
            for deployment in deployments:
                await deployment.roll()
        calls = tally.served.total()

        assert tally.failures == Counter()
        assert set(tally.served) == {"grpc", "grpc-stream", "http", "sdk", "sdk-stream"}
        assert calls > 10 * CALLS_PER_SECOND
        assert await cluster.outcomes(calls) == Counter(served=calls)
        given = {line["lease"] for line in cluster.keyvault.lines("lease_release")}
        assert given == {line["lease"] for line in cluster.keyvault.lines("lease_settled")}
        assert not cluster.gateway.lines("settlements_lost")
        assert not cluster.gateway.lines("key_service_unavailable")
        for deployment in deployments:
            _have_ended_in_order(deployment)


async def test_what_outlasts_the_drain_is_cut_and_told_so(clients: Clients) -> None:
    async with pod_cluster(clients, replicas=1, drain_seconds=1) as cluster:
        async with AsyncExitStack() as apps:
            channel = await apps.enter_async_context(grpc_app(clients, cluster.way))
            sdk = await apps.enter_async_context(sdk_app(clients, cluster.way))
            http = await apps.enter_async_context(http_app(clients, cluster.way))
            call = ChatCompletionServiceStub(channel).StreamChatCompletion(
                chat_service_pb.StreamChatCompletionRequest(parameters=parameters(model=_PACED)),
                timeout=60,
            )
            await call.initial_metadata()
            events = await sdk.chat.completions.create(
                model=_PACED, messages=[{"role": "user", "content": "hello"}], stream=True
            )
            socket = await apps.enter_async_context(http.ws_connect(_REALTIME, autoclose=False))
            await socket.receive()
            end = await cluster.gateway.end(cluster.gateway.pods[0])
            with pytest.raises(grpc.aio.AioRpcError) as told_by_grpc:
                await anext(aiter(call))
            with pytest.raises(openai.APIError) as told_by_event:
                await anext(aiter(events))
            closed = await socket.receive()
        outcomes = await cluster.outcomes(3)

    assert end.exit_code == 0
    assert told_by_grpc.value.code() is grpc.StatusCode.UNAVAILABLE
    assert reason_of(told_by_grpc.value) == told_by_event.value.code == "SERVICE_STOPPING"
    assert (closed.data, closed.extra) == (1001, "SERVICE_STOPPING")
    assert outcomes == Counter(cancelled=3)


def _have_ended_in_order(deployment: Deployment) -> None:
    assert [end.exit_code for end in deployment.ends] == [0] * 2
    for end in deployment.ends:
        events = [line["event"] for line in deployment.log(end.name)]
        assert "stopping" in events
        assert events[-2:] == ["audit_stream_closed", "audit_checkpoint"]
