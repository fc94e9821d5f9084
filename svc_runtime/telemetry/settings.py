"""The table `telemetry` of both services' settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from svc_runtime.settings_models import HTTPSURL, Address


class TelemetrySettings(BaseModel):
    """Where operators look into a running service. Everything is off by default."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    otlp_endpoint: HTTPSURL | None = None
    """OTLP receiver of traces, gRPC over TLS: `https://collector:4317`. Absent: no traces."""
    otlp_ca_file: Path | None = None
    """CA of the receiver, where it is not a public one."""
    trace_ratio: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Share of the calls to trace whose caller has not decided it."""
    metrics_address: Address | None = None
    """Where metrics are served, in the clear. Absent: nowhere."""
