"""Settings of limits: where they are counted, and those of every owner."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from keyvault_svc.consent_settings import LimitSettings, valid_limits

_ADDRESS = r"^[^\s:]+:[0-9]{1,5}$|^\[[0-9a-f:]+\]:[0-9]{1,5}$"


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RedisSettings(_Model):
    """Redis 7, Valkey 7.2, or newer: needed where several replicas run."""

    addresses: Annotated[tuple[Annotated[str, Field(pattern=_ADDRESS)], ...], Field(min_length=1)]
    """`host:port` of the server; of some nodes of a cluster; or of all sentinels."""
    kind: Literal["server", "sentinel", "cluster"] = "server"
    primary_name: str = ""
    """How the sentinels call the primary."""
    username: str = ""
    password_file: Path | None = None
    """Read anew at each connect."""
    tls: bool = True
    """Only a server on this machine may be spoken to without."""
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    timeout_seconds: Annotated[float, Field(gt=0, le=10)] = 1.0
    max_connections: Annotated[int, Field(ge=1, le=1000)] = 50


class LimitsSettings(_Model):
    """Where limits and usage are counted: in exactly one of `file` and `redis`."""

    file: Path | None = None
    """A file on a local disk: for one replica of the key service, and no more."""
    redis: RedisSettings | None = None
    owner: Annotated[LimitSettings, AfterValidator(valid_limits)] = LimitSettings()
    """Limits of each owner, over all keys, unless operators set others for one."""

    @model_validator(mode="after")
    def _has_one_store(self) -> Self:
        if (self.file is None) is (self.redis is None):
            raise ValueError("exactly one of file and redis must be given")
        return self
