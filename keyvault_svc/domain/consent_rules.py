"""What the deployment asks of a consent, beside the owner's word."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from keyvault_svc.domain.ceilings import Ceilings
from keyvault_svc.domain.consent_text import ConsentText
from keyvault_svc.domain.grant import GrantTerms
from keyvault_svc.domain.person import Person
from svc_runtime.service_error import InvalidFieldError


@dataclass(frozen=True, slots=True)
class ConsentRules:
    """What the deployment asks of a consent.

    Attributes:
        text: What owners must agree to before they grant more than before.
        ceilings: What they may grant at most.
    """

    text: ConsentText
    ceilings: Ceilings = field(default_factory=Ceilings)

    def check_giver(self, person: Person, consent_text_version: str) -> None:
        """Refuse unless *person*, who grants more than before, is fresh and knows the text.

        Raises:
            StepUpRequiredError: The person's login is not fresh or strong enough.
            ConsentTextOutdatedError: They agreed to another text.
        """
        person.must_be_fresh()
        self.text.must_be_agreed(consent_text_version)

    def check_terms(self, terms: GrantTerms, create_time: datetime, now: datetime) -> None:
        """Refuse *terms* that have ended, or that go beyond a ceiling.

        Raises:
            InvalidFieldError: They do; it names the field.
        """
        check_end(terms, now)
        self.ceilings.check(terms, create_time)


def check_end(terms: GrantTerms, now: datetime) -> None:
    """Refuse *terms* that have ended.

    Raises:
        InvalidFieldError: They have.
    """
    if terms.expire_time is not None and terms.expire_time <= now:
        raise InvalidFieldError("grant.expire_time", "must lie in the future")
