"""ID tokens of people that a test hands out."""

from __future__ import annotations

from keyvault_svc.domain.person import Person
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.service_error import CallerUnverifiedError


class FakeOwnerProof:
    """`OwnerProof` that knows one token, if any."""

    def __init__(self, token: SecretBytes | None = None, person: Person | None = None) -> None:
        """Let *token* prove *person*, and no other token anybody."""
        self._token = token
        self._person = person

    async def person_of(self, owner_token: SecretBytes) -> Person:
        """Return the person whom *owner_token* proves."""
        if self._person is None or owner_token != self._token:
            raise CallerUnverifiedError
        return self._person
