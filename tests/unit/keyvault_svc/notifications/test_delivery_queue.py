from __future__ import annotations

import math
from collections.abc import Sequence

from keyvault_svc.domain.events import EventType
from keyvault_svc.notifications.delivery_queue import Delivery, DeliveryQueue
from tests.unit.keyvault_svc.notifications.event_samples import sample_event

URGENT = EventType.KEY_REJECTED
ORDINARY = EventType.KEY_DUE


def _queue(*types: EventType, max_size: int = 100) -> DeliveryQueue:
    """Return a queue with keys `k1`, `k2` and so on."""
    queue = DeliveryQueue(max_size)
    for number, event_type in enumerate(types, 1):
        queue.put(sample_event(event_type, key_id=f"k{number}"), now=0.0, request_id="0123456789")
    return queue


def _take(queue: DeliveryQueue, now: float = 0.0) -> Delivery:
    delivery = queue.take(now)
    assert delivery is not None
    return delivery


def _key_id(delivery: Delivery) -> str:
    return delivery.event.key.rpartition("/")[2]


def _rest(queue: DeliveryQueue) -> Sequence[str]:
    keys = []
    while (delivery := queue.take(math.inf)) is not None:
        keys.append(_key_id(delivery))
        queue.remove(delivery)
    return keys


def test_events_come_out_in_the_order_in_which_they_were_put() -> None:
    assert _rest(_queue(ORDINARY, URGENT, ORDINARY)) == ["k1", "k2", "k3"]


def test_one_that_was_put_back_waits_for_its_time() -> None:
    queue = _queue(ORDINARY, ORDINARY)
    queue.put_back(_take(queue), due=10.0)

    assert _key_id(_take(queue, now=9.0)) == "k2"
    assert queue.take(now=9.0) is None
    assert _key_id(_take(queue, now=10.0)) == "k1"


def test_one_whose_time_has_come_goes_before_younger_ones() -> None:
    queue = _queue(ORDINARY, ORDINARY)
    queue.put_back(_take(queue), due=10.0)

    assert _key_id(_take(queue, now=10.0)) == "k1"


def test_it_tells_when_the_next_one_may_be_tried() -> None:
    queue = _queue(ORDINARY)

    times = [queue.next_due()]
    queue.put_back(_take(queue), due=10.0)
    times.append(queue.next_due())
    queue.remove(_take(queue, now=10.0))
    times.append(queue.next_due())

    assert times == [-math.inf, 10.0, math.inf]


def test_a_full_queue_drops_the_oldest_that_is_not_urgent() -> None:
    queue = _queue(URGENT, ORDINARY, ORDINARY, max_size=3)

    dropped = queue.put(sample_event(ORDINARY, key_id="k4"), now=0.0, request_id="0123456789")

    assert dropped is not None
    assert dropped.key == "users/alice/keys/k2"
    assert _rest(queue) == ["k1", "k3", "k4"]


def test_a_queue_full_of_urgent_ones_drops_the_oldest() -> None:
    queue = _queue(URGENT, URGENT, max_size=2)

    queue.put(sample_event(ORDINARY, key_id="k3"), now=0.0, request_id="0123456789")

    assert _rest(queue) == ["k2", "k3"]


def test_the_one_under_way_is_not_dropped() -> None:
    queue = _queue(ORDINARY, ORDINARY, max_size=2)
    first = _take(queue)

    queue.put(sample_event(ORDINARY, key_id="k3"), now=0.0, request_id="0123456789")
    queue.put_back(first, due=0.0)

    assert _rest(queue) == ["k1", "k3"]


def test_one_that_waits_for_its_time_can_be_dropped() -> None:
    queue = _queue(ORDINARY, ORDINARY, max_size=2)
    queue.put_back(_take(queue), due=10.0)

    queue.put(sample_event(ORDINARY, key_id="k3"), now=0.0, request_id="0123456789")

    assert queue.next_due() == -math.inf
    assert _rest(queue) == ["k2", "k3"]


def test_a_storm_of_events_takes_no_more_room_than_the_queue_has() -> None:
    queue = _queue(*[ORDINARY] * 10_000, max_size=10)

    assert len(queue) == 10
    assert len(queue._ready) <= 21
    assert _rest(queue) == [f"k{number}" for number in range(9_991, 10_001)]


def test_clearing_tells_how_many_there_were() -> None:
    queue = _queue(ORDINARY, URGENT)

    assert queue.clear() == 2
    assert len(queue) == 0
    assert queue.next_due() == math.inf
