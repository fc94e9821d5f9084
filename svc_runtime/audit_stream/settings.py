"""Where the audit stream goes."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict


class AuditStreamSettings(BaseModel):
    """Where audited lines are written."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: Path | None = None
    """A file, where a line counts as written once it is on disk. Replicas need one each. By default
    audited lines go to standard output, among the others."""
