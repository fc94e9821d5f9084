from __future__ import annotations

from datetime import date

import pytest

from gateway_svc.domain.errors import (
    KeyRejectedUpstreamError,
    LeaseExpiredError,
    UpstreamAnswerUnusableError,
    UpstreamForbiddenError,
    UpstreamRateLimitedError,
    UpstreamTimedOutError,
    UpstreamUnavailableError,
)
from gateway_svc.domain.key_name import KeyName
from gateway_svc.domain.reconciler import Reconciler, Reconciliation
from gateway_svc.domain.reconciliation import (
    Counted,
    KeyListing,
    OpenAIUsage,
    ReconciledKey,
    UsageKind,
    UsagePage,
)
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.service_error import ServiceError
from svc_runtime.vault.errors import VaultUnavailableError
from tests.fakes.fake_clock import FakeClock
from tests.fakes.fake_key_opener import FakeKeyOpener
from tests.fakes.fake_reconciliation_desk import (
    FakeQuestionLog,
    FakeReconciliationDesk,
    FakeUsageAdmin,
)

DAY = date(2027, 1, 31)
ADMIN_KEY = SecretBytes(b"sk-admin-canary-0123456789")
ALICE = KeyName.parse("users/alice/keys/openai")
BOB = KeyName.parse("users/bob/keys/openai")
KINDS = len(UsageKind)


def _listing(*keys: tuple[KeyName, str], uncovered: tuple[KeyName, ...] = ()) -> KeyListing:
    return KeyListing(DAY, tuple(ReconciledKey(*key) for key in keys), uncovered)


class Stage:
    """The use case over fakes."""

    def __init__(
        self,
        listing: KeyListing,
        *answers: UsagePage | Exception,
        key: SecretBytes | BaseException = ADMIN_KEY,
        lease_seconds: float = 10.0,
    ) -> None:
        self.desk = FakeReconciliationDesk(listing, lease_seconds=lease_seconds)
        self.admin = FakeUsageAdmin(*answers)
        self.opener = FakeKeyOpener(key)
        self.log = FakeQuestionLog()
        self.pauses: list[float] = []
        self.shown: list[tuple[int, int]] = []

    async def run(self, day: date | None = None) -> Reconciliation:
        """Reconcile."""

        async def sleep(seconds: float) -> None:
            self.pauses.append(seconds)

        job = Reconciler(self.desk, self.opener, self.admin, self.log, FakeClock(), sleep)
        return await job.run(day, lambda done, total: self.shown.append((done, total)))


async def test_what_openai_counted_of_all_kinds_is_added_up_and_reported() -> None:
    stage = Stage(
        _listing((ALICE, "key_a")),
        UsagePage({"key_a": Counted(1, 10, 2)}, ""),
        UsagePage({"key_a": Counted(2, 5)}, ""),
    )

    result = await stage.run(DAY)

    assert stage.desk.reports == [[OpenAIUsage("key_a", (ALICE,), Counted(3, 15, 2))]]
    assert (result.day, result.used_elsewhere) == (DAY, 1)
    assert [question.kind for question, _ in stage.admin.asked] == list(UsageKind)


async def test_a_key_of_which_openai_tells_nothing_is_reported_as_not_used() -> None:
    stage = Stage(_listing((ALICE, "key_a"), (BOB, "key_b")))

    result = await stage.run()

    assert [usage.counted for [*usages] in stage.desk.reports for usage in usages] == [
        Counted(),
        Counted(),
    ]
    assert result.used_elsewhere == 0


async def test_keys_that_were_not_asked_for_are_not_counted() -> None:
    stage = Stage(_listing((ALICE, "key_a")), UsagePage({"key_x": Counted(9)}, ""))

    await stage.run()

    assert stage.desk.reports == [[OpenAIUsage("key_a", (ALICE,), Counted())]]


async def test_names_of_the_same_key_are_reported_together() -> None:
    stage = Stage(_listing((BOB, "key_a"), (ALICE, "key_a")))

    await stage.run()

    assert stage.desk.reports == [[OpenAIUsage("key_a", (ALICE, BOB), Counted())]]


async def test_every_page_is_asked_for_with_a_lease_of_its_own() -> None:
    stage = Stage(
        _listing((ALICE, "key_a")),
        UsagePage({"key_a": Counted(1)}, "page_2"),
        UsagePage({"key_a": Counted(1)}, ""),
    )

    await stage.run()

    assert [question.page for question, _ in stage.admin.asked[:3]] == ["", "page_2", ""]
    assert stage.desk.reports[0][0].counted == Counted(2)
    leases = [lease.lease_id for _, lease in stage.opener.opened]
    assert len(set(leases)) == stage.desk.leases == KINDS + 1
    assert [lease for lease, _, _ in stage.log.told] == leases
    assert {outcome for _, _, outcome in stage.log.told} == {"answered"}


async def test_many_keys_are_asked_for_in_parts() -> None:
    keys = [(KeyName.parse(f"users/u{n}/keys/openai"), f"key_{n:03}") for n in range(120)]
    stage = Stage(_listing(*keys))

    result = await stage.run()

    assert [len(question.openai_key_ids) for question, _ in stage.admin.asked[:3]] == [50, 50, 20]
    assert [len(report) for report in stage.desk.reports] == [50, 50, 20]
    assert len(result.comparisons) == 120
    assert stage.shown[0] == (0, 3 * KINDS)
    assert stage.shown[-1] == (3 * KINDS, 3 * KINDS)


async def test_a_report_holds_no_more_names_than_the_key_service_takes() -> None:
    keys = [(_key(number), f"key_{number // 300}") for number in range(900)]
    stage = Stage(_listing(*keys))

    result = await stage.run()

    assert [[len(usage.keys) for usage in part] for part in stage.desk.reports] == [[300]] * 3
    assert len(result.comparisons) == 3


async def test_an_id_that_too_many_say_to_have_does_not_end_the_job_for_others() -> None:
    crowd = [_key(number) for number in range(501)]
    stage = Stage(_listing(*((name, "key_crowd") for name in crowd), (ALICE, "key_a")))

    result = await stage.run()

    assert stage.desk.reports == [[OpenAIUsage("key_a", (ALICE,), Counted())]]
    assert set(result.uncovered) == set(crowd)


def _key(number: int) -> KeyName:
    return KeyName.parse(f"users/u{number}/keys/openai")


async def test_without_keys_openai_is_not_asked() -> None:
    stage = Stage(_listing(uncovered=(ALICE,)))

    result = await stage.run()

    assert (stage.admin.asked, stage.desk.leases, stage.desk.reports) == ([], 0, [])
    assert result == Reconciliation(DAY, (), (ALICE,))


@pytest.mark.parametrize(
    "failure",
    [
        UpstreamUnavailableError(),
        UpstreamTimedOutError(),
        UpstreamRateLimitedError({"status": "429"}),
    ],
    ids=lambda failure: failure.reason,
)
async def test_a_passing_failure_is_waited_for_and_asked_again_with_a_new_lease(
    failure: ServiceError,
) -> None:
    stage = Stage(
        _listing((ALICE, "key_a")), failure, failure, UsagePage({"key_a": Counted(1)}, "")
    )

    result = await stage.run()

    assert stage.pauses == [1.0, 5.0]
    assert stage.desk.leases == KINDS + 2
    assert [outcome for _, _, outcome in stage.log.told[:3]] == [failure.reason] * 2 + ["answered"]
    assert result.used_elsewhere == 1


async def test_an_outage_that_stays_ends_the_job_and_nothing_is_reported() -> None:
    stage = Stage(_listing((ALICE, "key_a")), *[UpstreamUnavailableError()] * 4)

    with pytest.raises(UpstreamUnavailableError):
        await stage.run()
    assert (stage.pauses, stage.desk.reports) == ([1.0, 5.0, 20.0], [])


async def test_an_outage_in_the_middle_reports_nothing_of_what_was_counted() -> None:
    stage = Stage(
        _listing((ALICE, "key_a")),
        UsagePage({"key_a": Counted(100)}, ""),
        *[UpstreamUnavailableError()] * 4,
    )

    with pytest.raises(UpstreamUnavailableError):
        await stage.run()
    assert stage.desk.reports == []


async def test_an_admin_key_that_openai_refuses_is_verified_and_not_tried_again() -> None:
    stage = Stage(_listing((ALICE, "key_a")), KeyRejectedUpstreamError())

    with pytest.raises(KeyRejectedUpstreamError):
        await stage.run()
    assert (stage.desk.rechecks, len(stage.admin.asked), stage.desk.reports) == (1, 1, [])


async def test_an_admin_key_that_may_not_ask_is_not_tried_again() -> None:
    stage = Stage(_listing((ALICE, "key_a")), UpstreamForbiddenError({"status": "403"}))

    with pytest.raises(UpstreamForbiddenError):
        await stage.run()
    assert (stage.desk.rechecks, len(stage.admin.asked)) == (0, 1)


async def test_a_key_that_cannot_be_opened_is_written_down() -> None:
    stage = Stage(_listing((ALICE, "key_a")), key=VaultUnavailableError())

    with pytest.raises(VaultUnavailableError):
        await stage.run()
    assert stage.log.told == [(f"{1:032x}", "completions", VaultUnavailableError.reason)]


async def test_a_lease_that_has_ended_is_not_opened() -> None:
    stage = Stage(_listing((ALICE, "key_a")), lease_seconds=0)

    with pytest.raises(LeaseExpiredError):
        await stage.run()
    assert stage.opener.opened == []


async def test_pages_that_never_end_end_the_job() -> None:
    stage = Stage(_listing((ALICE, "key_a")), *[UsagePage({}, "again")] * 1_000)

    with pytest.raises(UpstreamAnswerUnusableError):
        await stage.run()
