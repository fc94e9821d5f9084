"""The queries of the security team's page find what they say, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.architecture.jq_queries import Query, queries
from tests.unit.keyturn_cli.audit.vault_lines import (
    APP,
    CONTROLS,
    DECRYPT,
    GATEWAY,
    KEY,
    KEY_SERVICE,
    MAINTENANCE,
    OTHER,
    RECORD,
    REQUEST_ID,
    ROOT,
    Caller,
    Log,
)

QUERIES = queries("docs/security-teams.md", "Queries")
_MUST_FIND_NOTHING = "Must find nothing"
_MOUNTS = {"keyturn-kv": "kv", "keyturn-transit": "transit"}
OF_RECORDS = "a record that anybody but the key service touched"
OF_LEASES = "a lease that was opened twice"
OF_CONTROLS = "a lease for which the controls were not read"
OF_DECRYPTS = "a decrypt by anybody but the gateway"
OF_DENIALS = "an operation that Vault denied"
Login = Callable[[Caller], Caller]


def _by_kubernetes(caller: Caller) -> Caller:
    return replace(caller, role_field="role") if caller.role else caller


@pytest.fixture(params=[lambda caller: caller, _by_kubernetes], ids=["AppRole", "Kubernetes"])
def login(request: pytest.FixtureRequest) -> Login:
    """What makes a caller one of this login."""
    chosen: Login = request.param
    return chosen


@pytest.fixture
def log(login: Login) -> Log:
    """What services leave that serve calls, and owners who act."""
    log = Log()
    log.begin()
    _log_in(log, login)
    for _ in range(2):
        _serve(log, login)
    log.operation(login(KEY_SERVICE), "create", RECORD, request_id=REQUEST_ID, key=KEY)
    log.operation(login(KEY_SERVICE), "read", CONTROLS, error="no such secret")
    return log


def _log_in(log: Log, login: Login) -> None:
    by = login(KEY_SERVICE)
    method = "kubernetes" if by.role_field == "role" else "approle"
    log.operation(by, "update", f"auth/keyturn-{method}/login")


def _serve(log: Log, login: Login) -> str:
    lease = log.lease()
    log.read(lease, reader=login(KEY_SERVICE))
    log.look(lease, reader=login(KEY_SERVICE))
    log.open(lease, opener=login(GATEWAY))
    return lease


def _query(told: str, number: int = 0) -> Query:
    return [query for query in QUERIES if told in " ".join(query.told.split())][number]


def _found(query: Query, log: Log) -> list[Any]:
    lines = [_as_written(json.loads(line)) for _, line in log.lines]
    return query.found_in(lines, REQUEST_ID=REQUEST_ID)


def _as_written(entry: dict[str, Any]) -> bytes:
    """Return the line of *entry* as both Vaults write it: with the mount, and no empty error."""
    mount = entry["request"]["path"].partition("/")[0]
    if mount in _MOUNTS:
        entry["request"] |= {"mount_point": f"{mount}/", "mount_type": _MOUNTS[mount]}
    if not entry.get("error"):
        entry.pop("error", None)
    return json.dumps(entry).encode()


def _decrypt_by_another(log: Log, login: Login) -> None:
    log.operation(login(OTHER), "update", DECRYPT, lease=log.lease())


def _decrypt_by_root(log: Log, _login: Login) -> None:
    log.operation(ROOT, "update", DECRYPT, lease=log.lease())


def _decrypt_without_lease(log: Log, login: Login) -> None:
    log.operation(login(GATEWAY), "update", DECRYPT)


def _record_read_by_another(log: Log, login: Login) -> None:
    log.operation(login(OTHER), "read", RECORD)


def _record_read_by_root(log: Log, _login: Login) -> None:
    log.operation(ROOT, "read", RECORD)


def _metadata_deleted_by_the_gateway(log: Log, login: Login) -> None:
    log.operation(login(GATEWAY), "delete", RECORD.replace("/data/", "/metadata/"))


def _opened_twice(log: Log, login: Login) -> None:
    log.open(_serve(log, login), opener=login(GATEWAY))


def _read_twice_and_not_opened(log: Log, login: Login) -> None:
    lease = log.lease()
    for _ in range(2):
        log.read(lease, reader=login(KEY_SERVICE))
    log.look(lease, reader=login(KEY_SERVICE))


def _opened_unread(log: Log, login: Login) -> None:
    lease = log.lease()
    log.look(lease, reader=login(KEY_SERVICE))
    log.open(lease, opener=login(GATEWAY))


def _read_by_another_and_opened(log: Log, login: Login) -> None:
    lease = log.lease()
    log.read(lease, reader=login(OTHER))
    log.look(lease, reader=login(KEY_SERVICE))
    log.open(lease, opener=login(GATEWAY))


def _without_a_look(log: Log, login: Login) -> None:
    lease = log.lease()
    log.read(lease, reader=login(KEY_SERVICE))
    log.open(lease, opener=login(GATEWAY))


def _denied_to_the_gateway(log: Log, login: Login) -> None:
    log.operation(login(GATEWAY), "read", "secret/x", error="1 error: permission denied")


PLANTED = [
    (OF_DECRYPTS, _decrypt_by_another),
    (OF_DECRYPTS, _decrypt_by_root),
    (OF_DECRYPTS, _decrypt_without_lease),
    (OF_RECORDS, _record_read_by_another),
    (OF_RECORDS, _record_read_by_root),
    (OF_RECORDS, _metadata_deleted_by_the_gateway),
    (OF_LEASES, _opened_twice),
    (OF_LEASES, _read_twice_and_not_opened),
    (OF_LEASES, _opened_unread),
    (OF_LEASES, _read_by_another_and_opened),
    (OF_CONTROLS, _without_a_look),
    (OF_DENIALS, _denied_to_the_gateway),
]


def test_every_query_that_must_find_nothing_has_something_to_find_here() -> None:
    told = [" ".join(query.told.split()) for query in QUERIES]

    alarms = [text for text in told if text.startswith(_MUST_FIND_NOTHING)]
    assert len(alarms) == len({text for text, _ in PLANTED})
    assert all(any(text in alarm for text, _ in PLANTED) for alarm in alarms)


@pytest.mark.parametrize("told", dict.fromkeys(text for text, _ in PLANTED))
def test_a_query_that_must_find_nothing_finds_nothing(log: Log, told: str) -> None:
    assert _found(_query(told), log) == []


@pytest.mark.parametrize(("told", "plant"), PLANTED)
def test_it_finds_one_planted_deed(
    log: Log, login: Login, told: str, plant: Callable[[Log, Login], None]
) -> None:
    plant(log, login)

    assert len(_found(_query(told), log)) == 1


def test_the_jobs_are_found_among_those_who_touch_records(log: Log, login: Login) -> None:
    log.operation(login(MAINTENANCE), "read", RECORD)

    assert len(_found(_query(OF_RECORDS), log)) == 1


def test_all_of_one_request_is_found_with_who_did_it(log: Log) -> None:
    found = _found(_query("All of one request"), log)

    assert len(found) == 14  # questions and answers of two calls, and of an owner's action
    assert {role for _, _, role, *_ in found} == {"keyvault-svc", "gateway-svc"}


def test_the_apps_that_used_a_key_are_found_once_a_use(log: Log) -> None:
    assert _found(_query("Which apps used a key"), log) == [APP, APP]


def test_a_change_of_the_controls_is_found(log: Log, login: Login) -> None:
    query = _query("Each must have a call of an operator")
    before = _found(query, log)
    log.operation(login(KEY_SERVICE), "update", CONTROLS, request_id=REQUEST_ID)

    assert before == []
    assert [row[1:4] for row in _found(query, log)] == [["keyvault-svc", "update", REQUEST_ID]]


@pytest.mark.parametrize(
    "path",
    [
        "sys/policies/acl/gateway-svc",
        "sys/audit/file",
        "auth/keyturn-approle/role/gateway-svc/secret-id",
        "auth/keyturn-kubernetes/role/gateway-svc",
        "auth/keyturn-people/users/alice",
        "keyturn-transit/keys/openai/config",
        "keyturn-pki/roles/service",
    ],
)
def test_a_change_of_the_set_up_is_found(log: Log, path: str) -> None:
    query = _query("Worth an alert")
    before = _found(query, log)
    log.operation(ROOT, "update", path)

    assert before == []
    assert [row[3] for row in _found(query, log)] == [path]


def test_the_logins_of_services_are_found_with_their_address(log: Log) -> None:
    assert [row[1:3] for row in _found(_query("Worth an alert", 1), log)] == [
        ["keyvault-svc", KEY_SERVICE.address]
    ]
