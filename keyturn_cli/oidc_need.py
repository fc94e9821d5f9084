"""What a login must be like: how fresh, and how strong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LoginNeed:
    """What a service asked for with STEP_UP_REQUIRED; by default nothing.

    Attributes:
        max_age_seconds: How long ago the login may be; None for any time.
        amr: Methods of which one must be used.
        acr: The issuer's levels, best first, of which one must be reached.
    """

    max_age_seconds: int | None = None
    amr: tuple[str, ...] = ()
    acr: tuple[str, ...] = ()

    def parameters(self) -> dict[str, str]:
        """Return the parameters that ask an issuer for it (OpenID Connect Core, 3.1.2.1)."""
        if self.max_age_seconds is None:
            return {}
        # Issuers know sessions for longer than they know the second factor, so it is asked for
        # by a new login in any case; there is no parameter for methods.
        asked = {"max_age": str(self.max_age_seconds), "prompt": "login"}
        return asked | ({"acr_values": " ".join(self.acr)} if self.acr else {})

    def in_words(self) -> str:
        """Return what is needed, for people."""
        words = ["a new login"] if self.max_age_seconds is not None else ["a login"]
        if self.max_age_seconds is not None:
            words.append(f"at most {self.max_age_seconds} seconds old")
        if self.amr:
            words.append(f"with a second factor ({' or '.join(self.amr)})")
        if self.acr:
            words.append(f"of level {' or '.join(self.acr)}")
        return ", ".join(words)


def login_need(details: Mapping[str, str]) -> LoginNeed:
    """Return what *details*, of a refusal STEP_UP_REQUIRED, ask for."""
    age = details.get("max_age_seconds", "")
    return LoginNeed(
        max_age_seconds=int(age) if age.isascii() and age.isdecimal() else 0,
        amr=tuple(details.get("amr", "").split()),
        acr=tuple(details.get("acr", "").split()),
    )
