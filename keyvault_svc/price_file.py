"""The file of prices: TOML, the operator's own or the one that comes along."""

from __future__ import annotations

import tomllib
from datetime import date
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from keyvault_svc.domain.prices import ModelPrice, PriceList
from svc_runtime.settings_models import SettingsError

_Price = Annotated[Decimal, Field(ge=0, le=1_000_000, max_digits=16)]
_Tokens = Annotated[int, Field(ge=0, le=1_000_000_000)]


class _ModelPrice(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    input: _Price = Decimal(0)
    cached_input: _Price | None = None
    output: _Price = Decimal(0)
    audio_minute: _Price = Decimal(0)
    image: _Price = Decimal(0)
    max_request: _Price | None = None
    max_input_tokens: _Tokens | None = None
    max_output_tokens: _Tokens | None = None


class _PriceFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    date: date
    models: dict[str, _ModelPrice]


def load_prices(path: Path | None) -> PriceList:
    """Return the prices in the file at *path*; those that come along for None.

    Raises:
        SettingsError: The file cannot be read, or is no list of prices.
    """
    file: _PriceFile | None = None
    problem = "is not TOML"
    try:
        text = (path or Path(str(files("keyvault_svc") / "prices.toml"))).read_text("utf-8")
        file = _PriceFile.model_validate(tomllib.loads(text, parse_float=Decimal))
    except OSError as error:
        problem = error.strerror or type(error).__name__
    except ValidationError as error:
        problem = "; ".join(
            f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}"
            for fault in error.errors(include_input=False, include_url=False)[:5]
        )
    except ValueError:  # of TOML, or of UTF-8
        pass
    if file is None:
        raise SettingsError(f"prices_file: {path}: {problem}")
    return PriceList(
        file.date, {name: ModelPrice(**price.model_dump()) for name, price in file.models.items()}
    )
