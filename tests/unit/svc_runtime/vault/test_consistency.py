from __future__ import annotations

import base64
import json

import pytest

from svc_runtime.vault.consistency import INDEX, ReadConsistency


def _index_of(value: object) -> str:
    return base64.b64encode(json.dumps(value).encode()).decode()


def test_nothing_is_asked_for_until_vault_has_told_of_its_cluster() -> None:
    assert ReadConsistency().headers == {}


def test_what_no_node_has_seen_is_asked_for() -> None:
    consistency = ReadConsistency()

    consistency.observe(_index_of({"cluster": "c-1", "value": "45"}))

    asked = json.loads(base64.b64decode(consistency.headers[INDEX]))
    assert asked == {"cluster": "c-1", "value": str(2**64 - 1)}
    assert consistency.headers["X-Vault-Inconsistent"] == "forward-active-node"


def test_another_cluster_takes_the_place_of_the_one_before() -> None:
    consistency = ReadConsistency()

    consistency.observe(_index_of({"cluster": "c-1", "value": "45"}))
    consistency.observe(_index_of({"cluster": "c-2", "value": "3"}))

    assert json.loads(base64.b64decode(consistency.headers[INDEX]))["cluster"] == "c-2"


@pytest.mark.parametrize(
    "index",
    [
        None,
        "",
        "v1:cluster:local:state:signature",
        "not base64 \u00e4",
        base64.b64encode(b"v1:cluster:4:5:sig").decode(),
        _index_of([]),
        _index_of({"cluster": 7}),
        _index_of({"cluster": "c" * 2000}),
    ],
)
def test_what_is_no_index_of_openbaos_changes_nothing(index: str | None) -> None:
    consistency = ReadConsistency()

    consistency.observe(index)

    assert consistency.headers == {}


def test_a_cluster_that_is_back_counts_again() -> None:
    consistency = ReadConsistency()
    first, second = (_index_of({"cluster": name, "value": "45"}) for name in ("c-1", "c-2"))

    for index in (first, first, second, None, first):
        consistency.observe(index)

    assert json.loads(base64.b64decode(consistency.headers[INDEX]))["cluster"] == "c-1"
