"""Which proof of themselves a person must bring for a sensitive action, and how fresh."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from keyvault_svc.domain.errors import StepUpRequiredError
from svc_runtime.caller import Authentication

_LEEWAY: Final = timedelta(seconds=30)  # clock skew, as the verification of tokens allows it


@dataclass(frozen=True, slots=True)
class StepUpPolicy:
    """What a sensitive action needs. What is empty is not asked for.

    Attributes:
        max_age: How long ago the person may have logged in, inclusive.
        amr: Methods (RFC 8176) of which the person must have used one, such as `otp` or `hwk`.
        acr: The issuer's levels, best first, of which the login must have reached one.
    """

    max_age: timedelta
    amr: tuple[str, ...] = ()
    acr: tuple[str, ...] = ()

    def must_be_fresh(self, authentication: Authentication, now: datetime) -> None:
        """Refuse unless *authentication* is fresh and strong enough at *now*.

        What the token does not say counts as not done.

        Raises:
            StepUpRequiredError: It is not; carries what would be.
        """
        if not (
            self._is_recent(authentication.auth_time, now)
            and (not self.amr or authentication.amr.intersection(self.amr))
            and (not self.acr or authentication.acr in self.acr)
        ):
            raise StepUpRequiredError(
                max_age_seconds=int(self.max_age.total_seconds()), amr=self.amr, acr=self.acr
            )

    def _is_recent(self, auth_time: datetime | None, now: datetime) -> bool:
        return auth_time is not None and -_LEEWAY <= now - auth_time <= self.max_age
