from __future__ import annotations

from datetime import timedelta

from keyturn.keyvault.v1 import grant_pb2 as grant_pb
from keyturn.keyvault.v1 import grant_request_service_pb2 as request_pb
from keyturn.keyvault.v1 import key_pb2 as key_pb
from keyturn.keyvault.v1 import limits_pb2 as limits_pb
from keyturn.keyvault.v1 import owner_service_pb2 as owners_pb
from keyturn_cli.owner_views import erasure_document, erasure_lines, export_document
from tests.unit.keyturn_cli.key_messages import NAME, NOW, key_message


def _notice(place: str, retention: timedelta | None) -> owners_pb.RetentionNotice:
    notice = owners_pb.RetentionNotice(place=place, content="Names of keys.")
    if retention is not None:
        notice.retention.FromTimedelta(retention)
        notice.gone_time.FromDatetime(NOW + retention)
    return notice


def test_an_export_has_every_field_of_the_answer() -> None:
    exported = owners_pb.ExportedKey(key=key_message(), grants=[grant_pb.Grant(name="g")])
    notice = _notice("service_logs", timedelta(days=30))
    stopped = owners_pb.ExportedSuspension(subject=NAME)
    stopped.create_time.FromDatetime(NOW)
    request = request_pb.GrantRequest(name="r", requester="dev")
    answer = owners_pb.ExportOwnerResponse(
        name="users/alice",
        keys=[exported],
        retention_notices=[notice],
        grant_requests=[request],
        limits=limits_pb.Limits(tokens_per_day=5),
        suspensions=[stopped],
    )
    answer.export_time.FromDatetime(NOW)

    document = export_document(answer, NOW)

    assert set(document) == set(owners_pb.ExportOwnerResponse.DESCRIPTOR.fields_by_name)
    assert [grant["name"] for grant in document["keys"][0]["grants"]] == ["g"]
    assert document["retention_notices"][0]["retention_seconds"] == 2592000
    assert document["grant_requests"][0]["requester"] == "dev"
    assert document["limits"] == {"tokens_per_day": 5}
    assert document["suspensions"] == [{"subject": NAME, "create_time": "2026-11-20T12:00:00Z"}]


def test_an_erasure_tells_what_was_destroyed_and_until_when_the_rest_stays() -> None:
    proof = key_pb.DeletionProof(key=NAME, destroyed_version_count=4)
    proof.confirm_time.FromDatetime(NOW)
    notices = [_notice("vault_audit_log", timedelta(days=90)), _notice("vault_backups", None)]
    answer = owners_pb.EraseOwnerResponse(
        name="users/alice", proofs=[proof], retention_notices=notices
    )

    destroyed, _, _, audit_log, backups = erasure_lines(answer)

    assert destroyed.startswith(f"Destroyed {NAME}: 4 stored versions")
    assert audit_log.endswith("Names of keys. Kept for 90 d, gone by 2027-02-18 12:00Z.")
    assert backups.endswith("Until when is not declared: ask your operator.")
    assert set(erasure_document(answer)) == set(
        owners_pb.EraseOwnerResponse.DESCRIPTOR.fields_by_name
    )


def test_an_erasure_tells_what_else_went() -> None:
    answer = owners_pb.EraseOwnerResponse(
        name="users/alice",
        forgotten_entry_count=1200,
        ended_suspension_count=2,
        has_ended_limits=True,
    )

    assert erasure_lines(answer)[1:] == [
        "Forgot usage, networks and counts: 1,200 entries of the store of limits.",
        "Suspensions that ended: 2.",
        "The limits that operators set for this owner alone ended.",
    ]
    assert erasure_document(answer)["forgotten_entry_count"] == 1200


def test_an_owner_that_held_nothing_is_told_so() -> None:
    lines = erasure_lines(owners_pb.EraseOwnerResponse(name="users/alice"))

    assert lines == ["users/alice held no keys: there was nothing to destroy."]
