from __future__ import annotations

import json
from datetime import UTC, date, datetime

from structlog.testing import capture_logs

from gateway_svc.domain.key_name import KeyName
from gateway_svc.domain.lease_ports import Lease
from gateway_svc.domain.reconciler import Reconciliation
from gateway_svc.domain.reconciliation import (
    AdminLease,
    Comparison,
    Counted,
    UsageKind,
    UsageQuestion,
    Verdict,
)
from gateway_svc.reconcile_command import StructuredQuestionLog, _as_json, _as_table
from svc_runtime.spiffe_id import SpiffeId

DAY = date(2027, 1, 31)
ALICE = KeyName.parse("users/alice/keys/openai")
BOB = KeyName.parse("users/bob/keys/openai")
RESULT = Reconciliation(
    DAY,
    (
        Comparison("key_a", (ALICE,), Counted(3, 30, 10), Counted(4, 31, 11), Verdict.MATCHES),
        Comparison("key_b", (BOB,), Counted(), Counted(9, 5_000, 1), Verdict.USED_ELSEWHERE),
    ),
    (KeyName.parse("users/bob/keys/old"),),
)


def test_a_table_has_a_line_for_each_key_and_names_those_that_were_not_compared() -> None:
    head, *lines = _as_table(RESULT).splitlines()

    assert head.split("  ")[0] == "key"
    assert [line.split()[0] for line in lines[:2]] == [str(ALICE), str(BOB)]
    assert lines[0].endswith("+2 tokens      matches")
    assert lines[1].endswith("+5,001 tokens  used elsewhere")
    assert lines[2] == "2027-01-31, UTC: compared 2 keys at OpenAI; 1 are used elsewhere."
    assert lines[-1] == "  users/bob/keys/old"


def test_a_table_of_no_keys_says_so() -> None:
    assert _as_table(Reconciliation(DAY, (), ())).splitlines() == [
        "No key can be compared.",
        "2027-01-31, UTC: compared 0 keys at OpenAI; 0 are used elsewhere.",
    ]


def test_programs_get_all_figures() -> None:
    document = json.loads(_as_json(RESULT))

    assert (document["date"], document["used_elsewhere"]) == ("2027-01-31", 1)
    assert document["keys"][1] == {
        "keys": [str(BOB)],
        "openai_key_id": "key_b",
        "keyturn": {"requests": 0, "input_tokens": 0, "output_tokens": 0},
        "openai": {"requests": 9, "input_tokens": 5_000, "output_tokens": 1},
        "verdict": "used_elsewhere",
    }
    assert document["uncovered_keys"] == ["users/bob/keys/old"]


def test_every_use_of_the_admin_key_is_logged_under_its_lease() -> None:
    lease = Lease("0" * 32, 1, "", datetime(2027, 2, 1, tzinfo=UTC), "vault:v1:canary")
    app = SpiffeId.parse("spiffe://example.org/gateway")

    with capture_logs() as logs:
        StructuredQuestionLog().asked(
            AdminLease("request-0001", ALICE, app, lease),
            UsageQuestion(UsageKind.IMAGES, DAY, ("key_a",)),
            "answered",
        )

    assert logs == [
        {
            "event": "usage_asked",
            "log_level": "info",
            "request_id": "request-0001",
            "lease": "0" * 32,
            "key": str(ALICE),
            "app": str(app),
            "endpoint": "organization/usage/images",
            "outcome": "answered",
        }
    ]
