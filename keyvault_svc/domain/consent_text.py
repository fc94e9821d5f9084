"""The text that owners agree to when they grant."""

from __future__ import annotations

from dataclasses import dataclass

from keyvault_svc.domain.errors import ConsentTextOutdatedError


@dataclass(frozen=True, slots=True)
class ConsentText:
    """What an owner reads before they grant.

    Attributes:
        version: Names the text. A grant keeps it.
        text: The text itself.
    """

    version: str
    text: str

    def must_be_agreed(self, unverified_version: str) -> None:
        """Refuse unless *unverified_version*, to which an owner agreed, is this one.

        Raises:
            ConsentTextOutdatedError: It is another, or none.
        """
        if unverified_version != self.version:
            raise ConsentTextOutdatedError(current_version=self.version)
