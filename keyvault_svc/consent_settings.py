"""Settings of consent: its text, and what owners may grant at most."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from keyvault_svc.consent_file import load_consent_text
from keyvault_svc.domain.ceilings import Ceilings
from keyvault_svc.domain.consent_text import ConsentText
from keyvault_svc.domain.grant import parse_endpoints, parse_models
from keyvault_svc.domain.limits import Limits
from svc_runtime.service_error import InvalidFieldError

_Entries = tuple[str, ...]
_Count = Annotated[int | None, Field(ge=1)]


def _checked(parse: Callable[[str, _Entries], _Entries]) -> AfterValidator:
    """Return a validator that has the domain's rule checked; no entries are none."""

    def check(entries: _Entries) -> _Entries:
        problem = ""
        try:
            return parse("entries", entries) if entries else ()
        except InvalidFieldError as error:
            problem = error.rule
        raise ValueError(problem)

    return AfterValidator(check)


class ConsentSettings(BaseModel):
    """The text that owners agree to when they grant."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text_file: Path | None = None
    """UTF-8 text; by default one that comes along."""
    version: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]*$", max_length=64)] = ""
    """What to call the text in grants; empty for the first digits of its SHA-256. Another text
    needs another version: owners are asked to read it when the version changes."""

    def load(self) -> ConsentText:
        """Return the text.

        Raises:
            SettingsError: The file cannot be used.
        """
        return load_consent_text(self.text_file, self.version)


class LimitSettings(BaseModel):
    """Limits; what is not set does not limit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    concurrent_calls: _Count = None
    requests_per_minute: _Count = None
    tokens_per_minute: _Count = None
    tokens_per_day: _Count = None
    tokens_per_month: _Count = None
    usd_per_day: str = ""
    """A decimal number, in quotes."""
    usd_per_month: str = ""

    def limits(self) -> Limits:
        """Return them as the rules know them.

        Raises:
            InvalidFieldError: One breaks its rule.
        """
        counts = self.model_dump(exclude={"usd_per_day", "usd_per_month"}, exclude_none=True)
        return Limits.parse(
            "limits", counts, usd_per_day=self.usd_per_day, usd_per_month=self.usd_per_month
        )


def valid_limits(settings: LimitSettings) -> LimitSettings:
    """Return *settings* if the rules take them.

    Raises:
        ValueError: They do not.
    """
    problem = ""
    try:
        settings.limits()
    except InvalidFieldError as error:
        problem = error.public_message
    if problem:
        raise ValueError(problem)
    return settings


class CeilingSettings(BaseModel):
    """What owners may grant at most. What is empty or 0 bounds nothing.

    A grant from before a ceiling stands, and allows no more than the ceiling.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_grant_lifetime_days: Annotated[int, Field(ge=0, le=3650)] = 0
    """How long a grant may last. Each must have an end then."""
    models: Annotated[_Entries, _checked(parse_models)] = ()
    """Models that grants may name, written as in a grant: `gpt-4o`, `gpt-4o*`."""
    endpoints: Annotated[_Entries, _checked(parse_endpoints)] = ()
    """Endpoints that grants may name, written as in a grant. Where `models` is set, those that run
    models which nobody sees (`batches`, `threads` and others) must be named here."""
    limits: Annotated[LimitSettings, AfterValidator(valid_limits)] = LimitSettings()
    """Limits that every grant must set, to no more than these."""

    def ceilings(self) -> Ceilings:
        """Return them as the rules know them."""
        days = self.max_grant_lifetime_days
        return Ceilings(
            timedelta(days=days) if days else None,
            self.models,
            self.endpoints,
            self.limits.limits(),
        )
