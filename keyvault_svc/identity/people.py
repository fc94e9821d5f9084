"""Who a person is, by the ID token they bring."""

from __future__ import annotations

from typing import Final

from keyvault_svc.domain.roles import PERSON
from svc_runtime.caller import Caller
from svc_runtime.jwt_verifier import JWTVerifier
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.service_error import CallerUnverifiedError

_MAX_NAME: Final = 256  # characters; it is recorded with everything that the person does


class PeopleByToken:
    """Turns a verified ID token into a `Caller`."""

    def __init__(self, verifier: JWTVerifier, *, name_claim: str, groups_claim: str) -> None:
        """Read the person's name and groups from these claims."""
        self._verifier = verifier
        self._name_claim = name_claim
        self._groups_claim = groups_claim

    async def verify(self, unverified_token: SecretBytes) -> Caller:
        """Return the person whom the token proves.

        Raises:
            CallerUnverifiedError: It proves nobody, or lacks the name.
            IssuerUnavailableError: The issuer's keys cannot be had.
        """
        verified = await self._verifier.verify(unverified_token)
        name = verified.claims.get(self._name_claim)
        if not isinstance(name, str) or not 0 < len(name) <= _MAX_NAME:
            raise CallerUnverifiedError
        groups = verified.claims.get(self._groups_claim)
        teams = groups if isinstance(groups, list) else []
        return Caller(
            name,
            frozenset({PERSON}),
            groups=frozenset(team for team in teams if isinstance(team, str)),
        )
