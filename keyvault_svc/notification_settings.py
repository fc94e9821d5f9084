"""The settings of notifications: which events go to which receivers."""

from __future__ import annotations

import re
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from keyvault_svc.domain.events import EventType
from keyvault_svc.domain.names import OwnerName
from svc_runtime.service_error import InvalidFieldError

_DOMAIN: Final = (
    r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*"
)
_LOCAL: Final = r"[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*"
_TEMPLATE: Final = re.compile(rf"[A-Za-z0-9._+-]*\{{id\}}[A-Za-z0-9._+-]*@{_DOMAIN}")
_MAX_ADDRESS_CHARS: Final = 254  # RFC 5321, 4.5.3.1.3, without the angle brackets


def _owner(raw: str) -> str:
    try:
        return str(OwnerName.parse(raw, "owners"))
    except InvalidFieldError as error:
        raise ValueError(error.rule) from None


def _template(raw: str) -> str:
    if not _TEMPLATE.fullmatch(raw):
        raise ValueError("must be an address with {id} once before the @")
    return raw


# Without user, query and fragment: a URL is shown where secrets are not, and often logged.
_WebhookURL = Annotated[str, Field(pattern=r"^https://[^\s/?#@]+(/[^\s?#]*)?$", max_length=2048)]
_Address = Annotated[str, Field(pattern=rf"^{_LOCAL}@{_DOMAIN}$", max_length=_MAX_ADDRESS_CHARS)]
_AddressTemplate = Annotated[str, Field(max_length=_MAX_ADDRESS_CHARS), AfterValidator(_template)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class WebhookSettings(_Model):
    """One receiver of signed webhooks."""

    url: _WebhookURL
    secret_files: Annotated[tuple[Path, ...], Field(min_length=1, max_length=5)]
    """Files with `whsec_` and a secret in base64, read for each delivery. A delivery is signed with
    each of them, so that a secret can be replaced without a break."""
    events: tuple[EventType, ...] = ()
    """Which events it gets; empty for all."""
    owners: tuple[Annotated[str, AfterValidator(_owner)], ...] = ()
    """Of which owners; empty for all."""
    ca_file: Path | None = None
    """CA of the receiver, where it is not a public one."""
    timeout_seconds: Annotated[float, Field(gt=0, le=30)] = 10.0


class MailSecurity(StrEnum):
    """How the connection to the mail server is protected."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


class MailSettings(_Model):
    """Mail to owners, by one mail server."""

    host: Annotated[str, Field(pattern=r"^[A-Za-z0-9.:-]+$", max_length=253)]
    port: Annotated[int, Field(ge=1, le=65_535)] = 587
    security: MailSecurity = MailSecurity.STARTTLS
    """`starttls` and `tls` refuse a server without; `none` is for a server on loopback."""
    ca_file: Path | None = None
    """CA of the server, where it is not a public one."""
    username: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    password_file: Path | None = None
    """File with the password of `username`, read for each delivery."""
    sender: _Address
    """Whom mail comes from."""
    users: _AddressTemplate | None = None
    """Address of a user, such as `{id}@example.com`. Absent: users get no mail."""
    teams: _AddressTemplate | None = None
    """Address of a team, such as `{id}@lists.example.com`. Absent: teams get no mail."""
    events: tuple[EventType, ...] = ()
    """Which events are mailed; empty for all."""
    timeout_seconds: Annotated[float, Field(gt=0, le=30)] = 20.0

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if (self.username is None) != (self.password_file is None):
            raise ValueError("username and password_file must be given together")
        if self.users is None and self.teams is None:
            raise ValueError("users or teams must be given")
        if self.security is MailSecurity.NONE and not _is_loopback(self.host):
            raise ValueError("security may be none for a host on loopback only")
        return self


class NotificationSettings(_Model):
    """Who is told of events, besides the log."""

    webhooks: Annotated[tuple[WebhookSettings, ...], Field(max_length=20)] = ()
    mail: MailSettings | None = None
    drain_seconds: Annotated[float, Field(ge=0, le=60)] = 5.0
    """How long deliveries may take to end when the service stops."""


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
