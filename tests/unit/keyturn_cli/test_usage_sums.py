from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from keyturn.keyvault.v1 import usage_service_pb2 as usage_pb
from keyturn_cli.usage_sums import Grouping, Used, sums, total

WORD = st.sampled_from(["", "a", "b", "c"])
AMOUNT = st.integers(0, 2**48)
ROWS = st.lists(
    st.builds(
        usage_pb.UsageRow,
        date=st.sampled_from(["2027-01-31", "2027-02-01", "2027-02-28"]),
        key=WORD,
        grant=WORD,
        app=WORD,
        model=WORD,
        member=WORD,
        request_count=AMOUNT,
        input_tokens=AMOUNT,
        output_tokens=AMOUNT,
        cost_micro_usd=AMOUNT,
        unpriced_request_count=AMOUNT,
    ),
    max_size=12,
)


@given(ROWS)
def test_sums_by_anything_add_up_to_the_same(rows: list[usage_pb.UsageRow]) -> None:
    whole = Used(
        sum(row.request_count for row in rows),
        sum(row.input_tokens for row in rows),
        sum(row.output_tokens for row in rows),
        sum(row.cost_micro_usd for row in rows),
        sum(row.unpriced_request_count for row in rows),
    )

    assert total(rows) == whole
    for by in Grouping:
        assert sum(sums(rows, by).values(), Used()) == whole


@given(ROWS, st.sampled_from(Grouping))
def test_a_group_holds_what_its_rows_say_and_no_other(
    rows: list[usage_pb.UsageRow], by: Grouping
) -> None:
    groups = sums(rows, by)

    assert set(groups) == {by.of(row) for row in rows}
    for group, used in groups.items():
        assert used == total(row for row in rows if by.of(row) == group)


@given(ROWS, st.sampled_from(Grouping), st.randoms())
def test_sums_do_not_depend_on_the_order_of_rows(
    rows: list[usage_pb.UsageRow], by: Grouping, random: Random
) -> None:
    shuffled = random.sample(rows, len(rows))

    assert list(sums(shuffled, by).items()) == list(sums(rows, by).items())


def test_days_stand_in_their_order_and_all_else_from_the_most_expensive() -> None:
    rows = [
        usage_pb.UsageRow(date="2027-02-01", model="b", cost_micro_usd=5, request_count=1),
        usage_pb.UsageRow(date="2027-01-31", model="a", input_tokens=9, request_count=1),
        usage_pb.UsageRow(date="2027-02-02", model="d", request_count=3),
        usage_pb.UsageRow(date="2027-02-02", model="c", request_count=3),
        usage_pb.UsageRow(date="2027-02-01", model="e", cost_micro_usd=7, request_count=1),
    ]

    assert list(sums(rows, Grouping.DAY)) == ["2027-01-31", "2027-02-01", "2027-02-02"]
    assert list(sums(rows, Grouping.MODEL)) == ["e", "b", "a", "c", "d"]
