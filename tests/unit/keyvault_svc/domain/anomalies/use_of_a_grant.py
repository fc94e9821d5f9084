"""A grant whose use is told hour by hour, and what the rules find in it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Final

from keyvault_svc.domain.anomalies.policy import AnomalyKind, AnomalyPolicy, Figure
from keyvault_svc.domain.anomalies.profile import Profile
from keyvault_svc.domain.anomalies.rules import Finding, Sight, findings
from keyvault_svc.domain.anomalies.tally import Tally
from keyvault_svc.domain.anomalies.times import HOURS_OF_DAY
from keyvault_svc.domain.names import GrantName, KeyName
from tests.fakes.fake_baseline_store import apply

GRANT: Final = GrantName(KeyName.parse("users/alice/keys/openai", "key"), "0123456789abcdef")
APP: Final = "spiffe://example.org/app/demo"
FLOORS: Final = {
    Figure.REQUESTS: 100,
    Figure.TOKENS: 100_000,
    Figure.ERRORS: 20,
    Figure.REFUSALS: 100,
    Figure.LATE: 10,
}
POLICY: Final = AnomalyPolicy(
    window_days=14,
    learn_days=7,
    learn_requests=50,
    spike_factor=3,
    floors=FLOORS,
    error_percent=25,
    dormant_days=30,
)
DAY_0: Final = date(2024, 4, 28).toordinal()


class UseOfAGrant:
    """The figures of one grant, and the hour that it is.

    Attributes:
        hour: See `times.hour_of`.
        figures: As a store keeps them.
    """

    def __init__(self, policy: AnomalyPolicy = POLICY, day: int = DAY_0) -> None:
        self.policy = policy
        self.hour = day * HOURS_OF_DAY
        self.figures: dict[str, int] = {}

    def see(
        self,
        requests: int = 0,
        *,
        tokens: int = 0,
        errors: int = 0,
        refusals: int = 0,
        late: tuple[int, str] = (0, ""),
        models: tuple[str, ...] = (),
        networks: tuple[str, ...] = (),
    ) -> list[Finding]:
        """Add what is seen now, and return what is found."""
        tally = Tally(GRANT, APP, self.hour, models=set(models), networks=set(networks))
        tally.figures.update(
            {
                Figure.REQUESTS: requests,
                Figure.TOKENS: tokens,
                Figure.ERRORS: errors,
                Figure.REFUSALS: refusals,
                Figure.LATE: late[0],
            }
        )
        tally.figures = +tally.figures
        tally.late_cause = late[1]
        before = self.profile()
        for change in (*before.outdated(), *before.additions(tally)):
            apply(self.figures, change)
        after = self.profile()
        for change in after.peaks():
            apply(self.figures, change)
        return findings(Sight(before, after, tally, self.policy))

    def profile(self) -> Profile:
        """Return the baseline as it stands."""
        return Profile(dict(self.figures), self.hour, self.policy.window_days)

    def go_to(self, day: int, hour_of_day: int = 0) -> None:
        """Let it be *hour_of_day* of the day *day* after the first."""
        self.hour = (DAY_0 + day) * HOURS_OF_DAY + hour_of_day

    def learn(
        self, days: int = 10, hours: range = range(9, 17), requests: int = 10, tokens: int = 1000
    ) -> None:
        """Use it for *days* in *hours*, with the model `gpt-4o`; go on to the day after."""
        for day in range(days):
            for hour in hours:
                self.go_to(day, hour)
                self.see(requests, tokens=tokens, models=("gpt-4o",))
        self.go_to(days, hours.start + 1)


def learned(policy: AnomalyPolicy = POLICY) -> UseOfAGrant:
    """Return a grant of 10 days' use: 10 requests and 1,000 tokens an hour, from 9 to 16."""
    use = UseOfAGrant(policy)
    use.learn()
    return use


def kinds(found: list[Finding]) -> list[AnomalyKind]:
    """Return of which kinds *found* are."""
    return [finding.kind for finding in found]


def suspending(*which: AnomalyKind) -> AnomalyPolicy:
    """Return the policy by which *which* suspend a key."""
    return replace(POLICY, suspends=frozenset(which))
