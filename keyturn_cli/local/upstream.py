"""Which OpenAI a local stack calls, and with which key it is seeded."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from keyturn_cli.standin.standin_keys import make_key
from svc_runtime.secret_bytes import SecretBytes

_KEY_VARIABLE: Final = "OPENAI_API_KEY"
_URL_VARIABLE: Final = "KEYTURN_OPENAI_BASE_URL"
_OPENAI: Final = "https://api.openai.com/v1"


@dataclass(frozen=True, slots=True)
class Upstream:
    """What the gateway calls.

    Attributes:
        base_url: Its URL; None for the stand-in, whose port the stack chooses.
        api_key: The key to seed.
        key_id: Under which id it is kept: a stand-in's key and a real one never share a name.
    """

    base_url: str | None
    api_key: SecretBytes
    key_id: str

    @classmethod
    def of_environment(cls) -> Self:
        """Return the upstream that this process's environment asks for."""
        return cls.of(os.environ)  # noqa: TID251 - the variables are the interface of the local stack

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Self:
        """Return the upstream that *environment* asks for."""
        raw_key = environment.get(_KEY_VARIABLE, "").strip()
        base_url = environment.get(_URL_VARIABLE, "").strip()
        if raw_key:
            return cls(base_url or _OPENAI, SecretBytes(raw_key.encode()), "openai")
        return cls(base_url or None, make_key(), "standin")
