from __future__ import annotations

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from keyvault_svc.rpc.times import datetime_of, optional_timestamp, timestamp
from svc_runtime.service_error import InvalidFieldError
from tests.fakes.fake_clock import START


def test_a_time_comes_back_as_it_went_in() -> None:
    assert datetime_of("field", timestamp(START)) == START


def test_no_time_is_none() -> None:
    assert optional_timestamp(None) is None
    assert optional_timestamp(START) == timestamp(START)


@pytest.mark.parametrize(
    "message",
    [Timestamp(seconds=2**62), Timestamp(seconds=-(2**62)), Timestamp(nanos=-1)],
    ids=["late", "early", "nanos"],
)
def test_a_time_that_cannot_be_is_refused_by_its_field(message: Timestamp) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        datetime_of("field", message)

    assert caught.value.field == "field"
