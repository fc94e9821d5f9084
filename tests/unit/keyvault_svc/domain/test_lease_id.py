"""Ids of leases tell their time, in the layout of a UUIDv7."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import RFC_4122, UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyvault_svc.domain.lease_id import new_lease_id

_NOW = datetime(2026, 3, 4, 5, 6, 7, 891_000, tzinfo=UTC)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_VERSION = 7


def test_an_id_is_32_lower_case_hexadecimal_digits() -> None:
    made = new_lease_id(_NOW)

    assert UUID(made).hex == made


def test_an_id_is_laid_out_as_a_uuid_of_version_7() -> None:
    made = UUID(new_lease_id(_NOW))

    assert (made.version, made.variant) == (_VERSION, RFC_4122)


@given(st.timedeltas(timedelta(0), timedelta(days=365 * 8000)))
def test_an_id_tells_the_millisecond_in_which_it_was_made(since_1970: timedelta) -> None:
    made = new_lease_id(_EPOCH + since_1970)

    told = timedelta(milliseconds=int(made[:12], 16))
    assert timedelta(0) <= since_1970 - told < timedelta(milliseconds=1)


def test_ids_sort_by_their_time() -> None:
    ids = [new_lease_id(_NOW + timedelta(milliseconds=n)) for n in range(100)]

    assert ids == sorted(ids)


def test_ids_of_one_millisecond_differ() -> None:
    assert len({new_lease_id(_NOW) for _ in range(1000)}) == 1000


def test_every_random_bit_takes_both_values() -> None:
    random_bits = 0x0FFF_3FFF_FFFF_FFFF_FFFF
    seen = [int(new_lease_id(_NOW), 16) for _ in range(200)]

    ones = zeros = 0
    for each in seen:
        ones |= each
        zeros |= ~each
    assert ones & random_bits == random_bits
    assert zeros & random_bits == random_bits


def test_a_time_before_1970_has_no_id() -> None:
    with pytest.raises(ValueError, match="out of the range"):
        new_lease_id(datetime(1969, 12, 31, tzinfo=UTC))
