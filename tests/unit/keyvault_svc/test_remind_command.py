"""How `keyvault-svc remind` ends where it cannot do its work; what it does is tested end to end."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from keyturn_cli.local.free_ports import free_ports
from keyvault_svc.__main__ import main
from keyvault_svc.notifications.channel_worker import ChannelWorker
from keyvault_svc.remind_command import SCHEDULE
from tests.fakes.fake_clock import FakeClock
from tests.unit.keyvault_svc.notifications.event_samples import sample_event
from tests.unit.keyvault_svc.notifications.scripted_channel import FAILED, ScriptedChannel
from tests.unit.keyvault_svc.notifications.service_log import log_lines

__all__ = ["log_lines"]

SETTINGS = """
owner_address = "127.0.0.1:8443"
gateway_address = "127.0.0.1:8444"
health_address = "127.0.0.1:8080"
gateways = ["spiffe://example.org/svc/gateway-svc"]
[tls]
certificate = "tls.crt"
key = "tls.key"
ca = "ca.crt"
[vault]
address = "https://127.0.0.1:{port}"
[vault.token]
file = "{folder}/token"
[people]
issuer = "https://vault.example:8200"
audience = "keyturn"
name_claim = "sub"
jwks_url = "https://vault.example:8200/keys"
[limits]
file = "limits.db"
"""
MAINTENANCE = """
[maintenance.token]
file = "{folder}/token"
"""
WEBHOOK = """
[[notifications.webhooks]]
url = "https://127.0.0.1:1/"
secret_files = ["{folder}/missing"]
"""


def _remind(folder: Path, *sections: str) -> int:
    file = folder / "keyvault_svc.toml"
    (folder / "token").write_text("no token of any Vault")
    text = "".join((SETTINGS, *sections))
    file.write_text(text.format(port=free_ports(1)[0], folder=folder))
    return main(["remind", "--config", str(file)])


@pytest.mark.usefixtures("log_lines")
@pytest.mark.parametrize(
    ("sections", "complaint"),
    [((), "[maintenance] login"), ((MAINTENANCE, WEBHOOK), "/missing: ")],
    ids=["without a login", "with a secret that is not there"],
)
def test_settings_that_do_not_do_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], sections: tuple[str, ...], complaint: str
) -> None:
    assert _remind(tmp_path, *sections) == 2

    assert complaint in capsys.readouterr().err


@pytest.mark.usefixtures("log_lines")
def test_while_vault_is_away_nobody_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _remind(tmp_path, MAINTENANCE) == 1

    assert "Nobody was told anything: run it again." in capsys.readouterr().err


async def _try_for(channel: ScriptedChannel, *key_ids: str) -> float:
    """Try to deliver until everything is delivered or given up; return the seconds."""
    clock = FakeClock()
    worker = ChannelWorker(channel, clock, SCHEDULE, jitter=lambda: 1.0)
    for key_id in key_ids:
        worker.put(sample_event(key_id=key_id))
    with capture_logs():
        while (wait := await worker.try_next()) != float("inf"):
            clock.advance(wait)
    return clock.monotonic()


async def test_an_event_that_is_never_taken_does_not_look_like_a_receiver_that_is_away() -> None:
    channel = ScriptedChannel(never_taken="k1")

    await _try_for(channel, "k1", "k2", "k3")

    assert channel.tried.count("k1") == SCHEDULE.max_attempts
    assert channel.tried.index("k2") < SCHEDULE.max_attempts // 2


async def test_a_receiver_may_be_away_for_three_minutes() -> None:
    tries = SCHEDULE.max_attempts

    seconds = await _try_for(ScriptedChannel([FAILED] * (tries - 1)), *[f"k{n}" for n in range(50)])

    assert 150 <= seconds <= 200
