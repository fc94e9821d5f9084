"""What owners hear without having asked, from a stack that tells real receivers."""

from __future__ import annotations

import asyncio
import json
import secrets
import ssl
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from keyturn.keyvault.v1 import grant_pb2 as grant_pb
from keyturn.keyvault.v1 import grant_request_service_pb2 as request_pb
from keyturn.keyvault.v1 import limits_pb2 as limits_pb
from keyturn.keyvault.v1 import usage_service_pb2 as usage_pb
from keyturn_cli.local.layout import DEMO_APP
from keyturn_cli.local.service_settings import Variant
from keyturn_cli.local.stack import LocalStack
from keyturn_cli.local.upstream import Upstream
from keyturn_cli.standin.standin_keys import KeyKind, make_key
from svc_runtime.secret_bytes import SecretBytes
from tests.e2e.asking import QUESTION, SERVED, ask, ask_often
from tests.e2e.breaking import until
from tests.e2e.clients import Clients, metadata
from tests.e2e.event_receivers import ALL, HANGING, LATE, EventReceivers, Told
from tests.e2e.operators import operator, suspended
from tests.e2e.owners import OwnedKey, alice, give_key, keep_key, sign_in, unused_name
from tests.live_files import whole_lines

pytestmark = pytest.mark.timeout(120)
ALICE = "users/alice"
OTHER_NETWORK = "127.0.1.1"
CALLS = 30
# Each of the 128 calls of the tool takes two tokens, of which the request allows one: so a budget
# can be used up to the last, which a request that keeps to what it says never does.
GREEDY = {
    **QUESTION,
    "n": 128,
    "max_completion_tokens": 1,
    "tool_choice": "required",
    "tools": [{"type": "function", "function": {"name": "f"}}],
}


@pytest.fixture(name="receivers", scope="module")
def _receivers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EventReceivers]:
    with EventReceivers(tmp_path_factory.mktemp("receivers")) as receivers:
        yield receivers


@pytest.fixture(name="telling", scope="module")
def _telling(
    tmp_path_factory: pytest.TempPathFactory,
    canary_key: SecretBytes,
    transcript: list[str],
    receivers: EventReceivers,
) -> Iterator[Clients]:
    """Clients of a stack that tells the receivers."""
    stack = LocalStack(
        tmp_path_factory.mktemp("telling") / "home", Upstream(None, canary_key, "standin")
    )
    stack.variant = Variant(more=receivers.settings)
    with stack:
        yield Clients(stack, transcript)


def _about(told: list[Told], key: str, event_type: str) -> list[Told]:
    return [one for one in told if one.data["key"] == key and one.type == event_type]


async def _told(receivers: EventReceivers, key: str, event_type: str, count: int = 1) -> list[Told]:
    """Wait until the first receiver has heard *count* times of *event_type* about *key*."""

    async def look() -> list[Told]:
        return _about(receivers.told, key, event_type)

    return await until(look, lambda seen: len(seen) >= count)


def _log(clients: Clients, event: str) -> list[dict[str, Any]]:
    """Return what the key service has logged as *event*."""
    log = clients.stack.layout.logs_dir / "keyvault-svc.log"
    entries = [json.loads(line) for line in whole_lines(log) if event in line]
    return [entry for entry in entries if entry["event"] == event]


async def _post(
    clients: Clients, key: OwnedKey, body: dict[str, Any], source: str = "127.0.0.1"
) -> int:
    """Ask as the demo app, from the address *source*; return the status."""
    tls = ssl.create_default_context(cafile=clients.stack.layout.ca_file)
    tls.load_cert_chain(*clients.stack.layout.certificate("app-demo"))
    async with (
        aiohttp.ClientSession(
            f"https://127.0.0.1:{clients.port('gateway', 'http')}",
            connector=aiohttp.TCPConnector(ssl=tls, local_addr=(source, 0)),
        ) as http,
        http.post("/v1/chat/completions", json=body, headers=dict(metadata(key.name))) as response,
    ):
        clients.keep(await response.text())
        return response.status


async def test_the_first_use_is_told_and_then_the_first_from_another_network(
    telling: Clients, receivers: EventReceivers
) -> None:
    key = await give_key(telling, "used")
    (grant,) = await alice(telling).list_grants(key.name)
    assert await _post(telling, key, QUESTION) == 200
    (first,) = await _told(receivers, key.name, "grant_first_used")
    assert [await _post(telling, key, QUESTION, OTHER_NETWORK) for _ in range(3)] == [200] * 3

    (other,) = await _told(receivers, key.name, "grant_new_network")

    for told, network in ((first, "127.0.0.0/24"), (other, "127.0.1.0/24")):
        subjects = [told.data[name] for name in ("owner", "key", "grant", "app")]
        assert subjects == [ALICE, key.name, grant.name, DEMO_APP]
        assert told.facts == {"network": network}
        assert network in told.data["text"]
        assert told.data["id"] == told.event_id


async def test_half_of_a_budget_most_and_all_of_it_are_told_once(
    telling: Clients, receivers: EventReceivers
) -> None:
    measured = await give_key(telling, "measured")
    assert await _post(telling, measured, GREEDY) == 200
    cost = await _cost(telling, measured)
    limits = limits_pb.Limits(usd_per_day=f"{10 * cost / 1_000_000:.6f}")
    key = await give_key(telling, "budget", limits=limits)

    statuses = [await _post(telling, key, GREEDY) for _ in range(10)]
    told = await _told(receivers, key.name, "budget_reached", 3)
    statuses.append(await _post(telling, key, GREEDY))

    assert statuses == [200] * 10 + [429]
    assert [one.facts["percent"] for one in told] == ["50", "80", "100"]
    assert {one.facts["scope"] for one in told} == {"grant"}
    assert len({one.event_id for one in told}) == 3
    logged = [entry for entry in _log(telling, "notification") if entry.get("key") == key.name]
    assert [e["percent"] for e in logged if "percent" in e] == ["50", "80", "100"]


async def _cost(clients: Clients, key: OwnedKey) -> int:
    """Return what the one request with *key* cost, in millionths of a USD."""
    days = [(datetime.now(UTC) - timedelta(days=n)).date().isoformat() for n in (1, 0)]
    request = usage_pb.GetUsageRequest(name=key.name, since_date=days[0], until_date=days[1])

    async def look() -> int:
        usage: usage_pb.GetUsageResponse = await alice(clients).call("GetUsage", request)
        return sum(row.cost_micro_usd for row in usage.rows)

    return await until(look, bool)


async def test_an_app_that_asks_for_a_grant_is_told_by_webhook_and_mail(
    telling: Clients, receivers: EventReceivers
) -> None:
    key = await keep_key(telling, "wanted")
    terms = grant_pb.Grant(app=DEMO_APP, models=["*"], endpoints=["*"])
    asked = request_pb.GrantRequest(grant=terms, reason="Answers questions about invoices")
    developer = sign_in(telling, f"dev-{secrets.token_hex(4)}")
    made = await developer.call(
        "CreateGrantRequest",
        request_pb.CreateGrantRequestRequest(parent=key.name, grant_request=asked),
    )

    (told,) = await _told(receivers, key.name, "grant_requested")

    async def look() -> list[str]:
        return [m.get_content() for m in receivers.mails if told.event_id in m["message-id"]]

    assert told.data["owner"] == ALICE
    assert told.facts["request"] in made.grant_request.name
    (mail,) = await until(look, bool)
    assert told.facts["request"] in mail
    assert {m["to"] for m in receivers.mails} == {"alice@example.com"}


async def test_a_key_that_openai_revokes_is_told_once(
    telling: Clients, receivers: EventReceivers
) -> None:
    key = await give_key(telling, "revoked", KeyKind.SOONREVOKED)

    heard = await ask_often(telling, key.name, 5)
    (told,) = await _told(receivers, key.name, "key_rejected")

    assert set(heard) == {"KEY_REJECTED_UPSTREAM"}
    assert (told.data["owner"], told.data["grant"], told.data["app"]) == (ALICE, "", "")
    # Whoever asks for it by hand looks at the answer: it is no news.
    assert len(_log_of_rejections(telling, key)) == 1


async def test_the_new_key_of_a_rotation_that_openai_rejects_is_told(
    telling: Clients, receivers: EventReceivers
) -> None:
    key = await give_key(telling, "rotated")
    await alice(telling).rotate_key(key.name, make_key(KeyKind.REVOKED))

    await _told(receivers, key.name, "key_rejected")

    assert await ask(telling, key.name) == SERVED
    assert len(_log_of_rejections(telling, key)) == 1


def _log_of_rejections(clients: Clients, key: OwnedKey) -> list[dict[str, Any]]:
    entries = [e for e in _log(clients, "notification") if e.get("key") == key.name]
    return [e for e in entries if e["notification_type"] == "key_rejected"]


async def _remind(clients: Clients, *options: str) -> tuple[int | None, str]:
    """Run `keyvault-svc remind`; return the exit code and all that it said."""
    settings = clients.stack.layout.service_settings("keyvault-svc")
    job = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "keyvault_svc", "remind", "--config", str(settings), *options),
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
    )
    said = await job.communicate()
    clients.keep(*said)
    return job.returncode, b"".join(said).decode()


def _in_days(days: float) -> Timestamp:
    time = Timestamp()
    time.FromDatetime(datetime.now(UTC) + timedelta(days=days))
    return time


async def test_what_is_due_is_told_under_the_same_ids_by_each_run_of_a_day(
    telling: Clients, receivers: EventReceivers
) -> None:
    name = unused_name("due")
    expires, ends = _in_days(13), _in_days(3)
    await alice(telling).create_key(name, make_key(), expire_time=expires)
    await alice(telling).verified(name)
    grant = await alice(telling).create_grant(name, expire_time=ends)

    ends_of_runs = [await _remind(telling) for _ in range(2)]
    told = _about(receivers.told, name, "key_due")
    too_early = await _remind(telling, "--within", "2d")

    assert [code for code, _ in (*ends_of_runs, too_early)] == [0, 0, 0], ends_of_runs
    assert _about(receivers.told, name, "key_due") == told
    assert [(t.data["grant"], t.data["app"], t.facts["due"], t.facts["date"]) for t in told] == [
        ("", "", "expiry", expires.ToDatetime().date().isoformat()),
        (grant.name, DEMO_APP, "grant_end", ends.ToDatetime().date().isoformat()),
    ] * 2
    days = {one.content["timestamp"] for one in told}
    assert len({one.event_id for one in told}) == 2 * len(days)  # two days, if midnight passed
    mailed = [mail["message-id"] for mail in receivers.mails]
    assert all(any(one.event_id in mail_id for mail_id in mailed) for one in told)


async def test_a_reminder_that_a_receiver_does_not_take_makes_the_job_fail(
    telling: Clients, receivers: EventReceivers
) -> None:
    name = unused_name("due-refused")
    await alice(telling).create_key(name, make_key(), expire_time=_in_days(1))
    receivers.refused_type = "key_due"

    code, said = await _remind(telling)
    receivers.refused_type = ""

    assert code == 1
    assert "deliveries were given up" in said
    assert "receiver_refused" in said
    assert _about(receivers.told, name, "key_due") == []


async def test_a_receiver_that_was_away_hears_of_it_later(
    telling: Clients, receivers: EventReceivers
) -> None:
    key = await give_key(telling, "stopped")

    async def delays() -> list[dict[str, Any]]:
        return [e for e in _log(telling, "notification_delayed") if e["channel"] == LATE]

    async with suspended(operator(telling), key.name):
        (told,) = await _told(receivers, key.name, "suspended")
        first, *_ = await until(delays, bool)
        before = list(receivers.told_late)
        receivers.start_late()

        async def look() -> list[Told]:
            return list(receivers.told_late)

        assert await until(look, bool) == [told]

    assert before == []
    assert (first["notification"], first["reason"]) == (told.event_id, "unreachable")


async def test_a_receiver_that_does_not_answer_delays_no_call_and_no_other_receiver(
    telling: Clients, receivers: EventReceivers
) -> None:
    before = await give_key(telling, "hanging")
    assert await ask(telling, before.name) == SERVED

    async def hanging() -> list[Told]:
        return list(receivers.hanging)

    await until(hanging, bool)
    keys = [await give_key(telling, f"beside-{n}") for n in range(3)]

    heard = [outcome for key in keys for outcome in await ask_often(telling, key.name, CALLS)]
    told = [await _told(receivers, key.name, "grant_first_used") for key in keys]

    assert heard == [SERVED] * CALLS * len(keys)
    assert [len(one) for one in told] == [1] * len(keys)
    channels = [entry["channel"] for entry in _log(telling, "notification_delivered")]
    assert ALL in channels
    assert HANGING not in channels
