"""Spans on their way to a real receiver, and to none."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from keyturn_cli.local.free_ports import free_ports
from svc_runtime.settings_models import SettingsError
from svc_runtime.telemetry.settings import TelemetrySettings
from svc_runtime.telemetry.spans import is_tracing, server_span
from svc_runtime.telemetry.tracing import tracing
from tests.certs import Authority
from tests.otlp_receiver import OTLPReceiver, receiving

SERVICE = "test-svc"
MORE_THAN_FIT = 6000
# Longer than a service takes to give its last spans up, and far from for ever.
PATIENCE_SECONDS = 30.0


def _settings(receiver: OTLPReceiver, **changes: object) -> TelemetrySettings:
    values = {"otlp_endpoint": receiver.endpoint, "otlp_ca_file": receiver.ca_file, **changes}
    return TelemetrySettings.model_validate({"trace_ratio": 1.0, **values})


def _serve(count: int) -> None:
    for number in range(count):
        with server_span("serve", ()) as span:
            span.set("number", number)


@contextmanager
def _losses() -> Iterator[list[int]]:
    """Enter with what is told of lost spans inside; complete once left."""
    counts: list[int] = []
    with capture_logs() as logs:
        yield counts
    counts += [line["count"] for line in logs if line["event"] == "spans_lost"]


async def test_without_a_receiver_nothing_is_traced() -> None:
    async with tracing(TelemetrySettings(), SERVICE):
        assert not is_tracing()


async def test_spans_arrive_over_tls_under_the_services_name(tmp_path: Path) -> None:
    with receiving(tmp_path) as receiver, _losses() as losses:
        async with tracing(_settings(receiver), SERVICE):
            _serve(3)
        spans = receiver.spans

    assert [(s.service, s.name, s.attributes) for s in spans] == [
        (SERVICE, "serve", {"number": number}) for number in range(3)
    ]
    assert losses == []
    assert not is_tracing()


async def test_spans_arrive_while_the_service_runs(tmp_path: Path) -> None:
    with receiving(tmp_path) as receiver:
        async with tracing(_settings(receiver), SERVICE):
            _serve(1)
            spans = await asyncio.to_thread(receiver.wait_for, bool)

    assert len(spans) == 1


async def test_the_environment_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
        "OTEL_EXPORTER_OTLP_INSECURE": "true",
        "OTEL_RESOURCE_ATTRIBUTES": "owner=alice",
        "OTEL_SERVICE_NAME": "other",
        "OTEL_TRACES_SAMPLER": "always_off",
        "OTEL_ATTRIBUTE_COUNT_LIMIT": "0",
    }.items():
        monkeypatch.setenv(name, value)
    with receiving(tmp_path) as receiver:
        async with tracing(_settings(receiver), SERVICE):
            _serve(1)
        (span,) = receiver.spans

    assert (span.service, span.attributes) == (SERVICE, {"number": 0})


async def test_a_receiver_that_hangs_holds_up_no_call_and_no_end(tmp_path: Path) -> None:
    with receiving(tmp_path, hangs=True) as receiver, _losses() as losses:
        async with asyncio.timeout(PATIENCE_SECONDS):
            async with tracing(_settings(receiver), SERVICE):
                _serve(MORE_THAN_FIT)
                await asyncio.to_thread(receiver.arrived.wait)
                _serve(MORE_THAN_FIT)

    assert sum(losses) == 2 * MORE_THAN_FIT


async def test_a_receiver_that_is_away_holds_up_no_call_and_no_end(tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    ca_file.write_bytes(Authority().pem)
    settings = TelemetrySettings(
        otlp_endpoint=f"https://127.0.0.1:{free_ports(1)[0]}", otlp_ca_file=ca_file, trace_ratio=1.0
    )
    with _losses() as losses:
        async with asyncio.timeout(PATIENCE_SECONDS), tracing(settings, SERVICE):
            _serve(10)

    assert losses == [10]


async def test_a_receiver_of_another_ca_gets_nothing(tmp_path: Path) -> None:
    other_ca = tmp_path / "other-ca.pem"
    other_ca.write_bytes(Authority("other CA").pem)
    with receiving(tmp_path) as receiver, _losses() as losses:
        settings = _settings(receiver, otlp_ca_file=other_ca)
        async with asyncio.timeout(PATIENCE_SECONDS), tracing(settings, SERVICE):
            _serve(1)

    assert (receiver.spans, losses) == ([], [1])


async def test_what_a_receiver_cannot_take_is_told_without_a_line_for_each_span(
    tmp_path: Path,
) -> None:
    with receiving(tmp_path, hangs=True) as receiver, capture_logs() as logs:
        async with tracing(_settings(receiver), SERVICE):
            _serve(2 * MORE_THAN_FIT)

    assert [line["event"] for line in logs] == ["spans_lost"]


async def test_a_ca_file_that_cannot_be_read_is_a_setting_to_mend(tmp_path: Path) -> None:
    settings = TelemetrySettings(
        otlp_endpoint="https://127.0.0.1:1", otlp_ca_file=tmp_path / "missing.pem"
    )
    with pytest.raises(SettingsError, match=r"telemetry\.otlp_ca_file: .*No such file"):
        async with tracing(settings, SERVICE):
            pass


@pytest.mark.parametrize(
    "changes",
    [{"otlp_endpoint": "http://collector:4317"}, {"trace_ratio": 1.1}, {"unknown": 1}],
)
def test_settings_that_break_a_rule_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(changes))):
        TelemetrySettings.model_validate(changes)
