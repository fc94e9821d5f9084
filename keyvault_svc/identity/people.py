"""Who a person is, by the ID token they bring."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from keyvault_svc.domain.person import Person, PersonCaller
from keyvault_svc.domain.roles import PERSON, RoleRules
from svc_runtime.caller import Authentication
from svc_runtime.clock import Clock
from svc_runtime.jwt_verifier import JWTVerifier
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.service_error import CallerUnverifiedError

_MAX_NAME: Final = 256  # characters; it is recorded with everything that the person does
# Of clocks among an issuer's own servers: one logs the person in, another signs the token.
_LEEWAY_SECONDS: Final = 30


class PeopleByToken:
    """Turns a verified ID token into a `PersonCaller`."""

    def __init__(
        self,
        verifier: JWTVerifier,
        clock: Clock,
        *,
        name_claim: str,
        groups_claim: str,
        rules: RoleRules,
        auth_time_claim: str = "auth_time",
    ) -> None:
        """Read who people are from verified tokens.

        Args:
            verifier: Verifies them.
            clock: Source of time: what is fresh is so at a call's time.
            name_claim: The claim of the person's name.
            groups_claim: The claim of the person's groups.
            rules: What groups make of a person.
            auth_time_claim: The claim of the time of the login; another than the standard's where
                the issuer does not let its operator say `auth_time`.
        """
        self._verifier = verifier
        self._clock = clock
        self._auth_time_claim = auth_time_claim
        self._rules = rules
        self._name_claim = name_claim
        self._groups_claim = groups_claim

    async def verify(self, unverified_token: SecretBytes) -> PersonCaller:
        """Return the person whom the token proves.

        Raises:
            CallerUnverifiedError: It proves nobody, lacks the name, or tells of a login that is
                yet to come.
            IssuerUnavailableError: The issuer's keys cannot be had.
        """
        verified = await self._verifier.verify(unverified_token)
        name = verified.claims.get(self._name_claim)
        if not isinstance(name, str) or not 0 < len(name) <= _MAX_NAME:
            raise CallerUnverifiedError
        groups = verified.claims.get(self._groups_claim)
        teams = groups if isinstance(groups, list) else []
        return PersonCaller(
            name,
            frozenset({PERSON}),
            groups=frozenset(team for team in teams if isinstance(team, str)),
            authentication=_authentication(verified.claims, self._auth_time_claim),
            rules=self._rules,
            call_time=self._clock.now(),
        )

    async def person_of(self, owner_token: SecretBytes) -> Person:
        """Return the person whom *owner_token* proves; see `verify`."""
        return (await self.verify(owner_token)).person()


def _authentication(claims: Mapping[str, Any], auth_time_claim: str) -> Authentication:
    """Return what the token says of the login; a claim of the wrong type says nothing.

    Raises:
        CallerUnverifiedError: The login is later than the token that tells of it.
    """
    amr, acr = claims.get("amr"), claims.get("acr")
    methods = amr if isinstance(amr, list) else []
    return Authentication(
        auth_time=_auth_time(claims.get(auth_time_claim), claims),
        amr=frozenset(methods) if all(isinstance(m, str) for m in methods) else frozenset(),
        acr=acr if isinstance(acr, str) else "",
    )


def _auth_time(seconds: object, claims: Mapping[str, Any]) -> datetime | None:
    # As everywhere in tokens a number, which none of JSON's booleans is.
    if not isinstance(seconds, int | float) or isinstance(seconds, bool):
        return None
    try:
        auth_time = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None  # no time of this calendar
    # The verifier has compared `iat` with our clock.
    if seconds > claims["iat"] + _LEEWAY_SECONDS:
        raise CallerUnverifiedError
    return auth_time
