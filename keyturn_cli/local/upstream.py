"""Which OpenAI a local stack calls, and with which key it is seeded."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final, Self
from urllib.parse import urlsplit

from keyturn_cli.command_error import CommandError
from keyturn_cli.exit_codes import ExitCode
from keyturn_cli.standin.standin_keys import make_key
from svc_runtime.secret_bytes import SecretBytes

_KEY_VARIABLE: Final = "OPENAI_API_KEY"
_URL_VARIABLE: Final = "KEYTURN_OPENAI_BASE_URL"
_OPENAI: Final = "https://api.openai.com/v1"
_OWN_KEY_ID: Final = "openai"
_STANDIN_KEY_ID: Final = "standin"
# As the gateway's own settings have it: no user, query or fragment.
_URL: Final = re.compile(r"https?://[^\s/?#@]+(/[^\s?#]*)?")


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

    @property
    def is_own_key(self) -> bool:
        """Whether the user gave the key: then a seeded one is replaced by it at each start."""
        return self.key_id == _OWN_KEY_ID

    @classmethod
    def of_environment(cls) -> Self:
        """Return the upstream that this process's environment asks for; see `of`."""
        return cls.of(os.environ)  # noqa: TID251 - the variables are the interface of the local stack

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Self:
        """Return the upstream that *environment* asks for.

        Raises:
            CommandError: The URL would send keys unencrypted to another machine, or is none.
        """
        raw_key = environment.get(_KEY_VARIABLE, "").strip()
        base_url = environment.get(_URL_VARIABLE, "").strip()
        if base_url:
            _check(base_url)
        if raw_key:
            return cls(base_url or _OPENAI, SecretBytes(raw_key.encode()), _OWN_KEY_ID)
        return cls(base_url or None, make_key(), _STANDIN_KEY_ID)


def _check(base_url: str) -> None:
    try:
        url = urlsplit(base_url)
        is_url = _URL.fullmatch(base_url) is not None and url.port != 0
    except ValueError:
        url, is_url = urlsplit(""), False
    if not is_url or (url.scheme == "http" and not _is_loopback(url.hostname)):
        # The URL itself is not repeated: it may hold a password.
        raise CommandError(
            f"{_URL_VARIABLE}: must be an https URL without user, query and fragment",
            ExitCode.USAGE,
            hint="http is for this machine only: 127.0.0.1, [::1] or localhost.",
        )


def _is_loopback(host: str | None) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host or "").is_loopback
    except ValueError:
        return False
