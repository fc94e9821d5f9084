"""What the services' logs leave out, or say otherwise than Vault's, is found."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from keyturn_cli.audit.kinds_of_chains import KINDS_OF_CHAINS
from keyturn_cli.audit.options import SECOND_US
from tests.integration.audit.day import Day
from tests.integration.audit.judging import codes, judge
from tests.integration.audit.log_edit import LogEdit

_GATEWAY, _KEY_SERVICE = "gateway-svc", "keyvault-svc"
_CREATE_GRANT = "/keyturn.keyvault.v1.GrantService/CreateGrant"
_SUSPEND = "/keyturn.keyvault.v1.OperatorService/Suspend"
_SKEW_US = (
    SECOND_US // 10
)  # all clocks are one; a day of a few seconds is shorter than the default twice

Record = dict[str, Any]


class _Edit:
    """The logs of a day, to be altered."""

    def __init__(self, day: Day) -> None:
        self.vault = LogEdit(day)
        self.services: dict[str, list[Record]] = {
            name: [json.loads(line) for line in lines] for name, lines in day.services.items()
        }

    def records(self, service: str, **fields: str) -> list[Record]:
        """Return a service's records that hold *fields*."""
        return [r for r in self.services[service] if fields.items() <= r.items()]

    def of_victim(self, service: str) -> list[Record]:
        """Return a service's records of the victim's lease."""
        return self.records(service, lease=self.vault.lease)

    def remove(self, service: str, records: Iterable[Record]) -> None:
        """Remove records."""
        gone = {id(record) for record in records}
        self.services[service] = [r for r in self.services[service] if id(r) not in gone]

    def codes(self, day: Day) -> set[str]:
        """Return what is found, but for the streams' chains, which break by every alteration."""
        services = {
            name: [json.dumps(record).encode() for record in records]
            for name, records in self.services.items()
        }
        found = codes(judge(day, self.vault.lines(), services, skew_us=_SKEW_US))
        return found - KINDS_OF_CHAINS.keys()


def _forget_a_refusal(edit: _Edit) -> None:
    edit.remove(_KEY_SERVICE, edit.records(_KEY_SERVICE, reason="NOT_GRANTED")[-1:])


def _crash(edit: _Edit) -> None:
    edit.remove(_GATEWAY, edit.records(_GATEWAY, event="audit_stream_closed"))
    _forget_an_end(edit)


def _forget_an_end(edit: _Edit) -> None:
    records = edit.of_victim(_GATEWAY)
    edit.remove(_GATEWAY, [record for record in records if record["event"] != "key_opening"])


def _end_in_the_midst(edit: _Edit) -> None:
    """Let the logs of running services end after the victim's first line."""
    for service in edit.services:
        first = edit.services[service].index(edit.of_victim(service)[0])
        del edit.services[service][first + 1 :]


def _set(service: str, field: str, value: str) -> Callable[[_Edit], None]:
    def edit(edit: _Edit) -> None:
        for record in edit.of_victim(service):
            if field in record:
                record[field] = value

    return edit


def _suspend_by_an_owner(edit: _Edit) -> None:
    for record in edit.records(_KEY_SERVICE, method=_SUSPEND):
        record["method"] = _CREATE_GRANT


def _leave_unsettled(edit: _Edit) -> None:
    for record in edit.records(_KEY_SERVICE, event="lease_settled", lease=edit.vault.lease):
        record["outcome"] = "unsettled"


EDITS: dict[str, tuple[Callable[[_Edit], None], set[str]]] = {
    "a call is missing": (
        lambda edit: edit.remove(_GATEWAY, edit.of_victim(_GATEWAY)),
        {"CALL_NOT_RECORDED"},
    ),
    "only a call's end is missing": (_forget_an_end, {"CALL_NOT_RECORDED"}),
    "a call's end is missing in the log of a running gateway": (_crash, {"CALL_OPEN_AT_END"}),
    "the logs end in the midst": (_end_in_the_midst, set()),
    "Vault's lines of a call are missing": (
        lambda edit: edit.vault.remove(edit.vault.of_lease()),
        {"CALL_WITHOUT_DECRYPT"},
    ),
    "a lease is missing": (
        lambda edit: edit.remove(_KEY_SERVICE, edit.of_victim(_KEY_SERVICE)),
        {"LEASE_NOT_RECORDED"},
    ),
    "a refused lease is missing": (_forget_a_refusal, {"LEASE_NOT_RECORDED"}),
    "a gateway names another app": (
        _set(_GATEWAY, "app", "spiffe://keyturn.local/app/x"),
        {"RECORD_DIFFERS"},
    ),
    "a key service names another key": (
        _set(_KEY_SERVICE, "key", "users/bob/keys/openai"),
        {"RECORD_DIFFERS"},
    ),
    "an owner's action is missing": (
        lambda edit: edit.remove(
            _KEY_SERVICE, edit.records(_KEY_SERVICE, method=_CREATE_GRANT)[-1:]
        ),
        {"WRITE_NOT_RECORDED"},
    ),
    "an operator's action is missing": (
        lambda edit: edit.remove(_KEY_SERVICE, edit.records(_KEY_SERVICE, method=_SUSPEND)),
        {"WRITE_NOT_RECORDED"},
    ),
    "an operator's action was somebody else's": (
        _suspend_by_an_owner,
        {"CONTROLS_NOT_BY_OPERATOR"},
    ),
    "a lease was not settled": (_leave_unsettled, {"LEASE_UNSETTLED"}),
}


def test_a_real_day_has_no_finding_by_all_logs_together(day: Day) -> None:
    assert judge(day, services=day.services) == []


@pytest.mark.parametrize("name", EDITS)
def test_what_logs_say_otherwise_is_found_by_its_code_and_by_no_other(day: Day, name: str) -> None:
    change, expected = EDITS[name]
    edit = _Edit(day)
    change(edit)

    assert edit.codes(day) == expected


def test_a_call_whose_key_openai_rejects_names_its_lease(day: Day) -> None:
    edit = _Edit(day)
    [rejected] = edit.records(_GATEWAY, reason="KEY_REJECTED_UPSTREAM")

    [opening] = edit.records(_GATEWAY, event="key_opening", request_id=str(rejected["request_id"]))
    assert rejected["lease"] == opening["lease"]


def test_services_logs_that_begin_later_say_nothing_of_what_was_before(day: Day) -> None:
    for service, lines in day.services.items():
        later = {service: lines[len(lines) // 2 :]}

        assert not codes(judge(day, services=later)) - KINDS_OF_CHAINS.keys()


def test_a_verification_by_all_logs_goes_on_from_checkpoints(day: Day) -> None:
    assert judge(day, services=day.services, resume_every=53) == []
