"""What somebody alters in Vault's audit log, or does that leaves such lines."""

from __future__ import annotations

from typing import Final

from tests.integration.audit.log_edit import (
    CONTROLS,
    DECRYPT,
    RECORDS,
    UNWRAP,
    WRAP,
    Edit,
    LogEdit,
    answers,
    header,
    is_of_an_app,
    requests,
)

_OLD_ID: Final = "17b9a7f55a104426bf35a2ae60f06b44"  # random, and so of no time


def _lease_of_another_time(lease: str) -> str:
    return f"{int(lease[:12], 16) - 300_000:012x}{lease[12:]}"


def _rename(log: LogEdit, lease: str) -> None:
    log.relabel(log.of_lease(), "lease", lease)


def _read_another(log: LogEdit) -> None:
    for entry in log.of(RECORDS, log.lease):
        entry["request"]["path"] = f"{RECORDS}bob/keys/openai"


def _batch(log: LogEdit) -> None:
    for entry in log.of(DECRYPT, log.lease):
        entry["request"]["data"] = {"batch_input": [{"ciphertext": "hmac-sha256:0"}]}


def _remove_first_verifications_controls(log: LogEdit) -> None:
    claim = next(e for e in log.of(DECRYPT) if not is_of_an_app(e))
    request_id = header(claim, "request-id")
    log.remove(e for e in log.of(CONTROLS) if header(e, "request-id") == request_id)


def _take_for_another_lease(log: LogEdit) -> None:
    other = f"{log.wrapped_lease[:-4]}0000"
    changed = [*log.of(UNWRAP, log.wrapped_lease), *log.of(WRAP, log.wrapped_lease)]
    log.relabel(changed[:2], "lease", other)


def _login_with_more(log: LogEdit) -> None:
    for entry in answers(log.of("auth/keyturn-approle/login")):
        entry["response"]["auth"]["policies"].append("default")


def _use(path: str, operation: str = "update") -> Edit:
    """Let root have used *path*, by the lines of another use."""

    def edit(log: LogEdit) -> None:
        used = log.repeat(log.of(DECRYPT, log.lease), 0.001)
        log.done_by(used, "", "root")
        for entry in used:
            entry["request"] |= {"path": path, "operation": operation, "headers": {}, "data": {}}

    return edit


def _stop(path: str) -> Edit:
    """Let root have used *path*, of which Vault logs no answer."""

    def edit(log: LogEdit) -> None:
        _use(path)(log)
        log.remove(answers(log.of(path)))

    return edit


EDITS: Final[dict[str, tuple[Edit, set[str]]]] = {
    "a decrypt names no lease": (
        lambda log: log.relabel(log.of(DECRYPT, log.lease), "lease", None),
        {"DECRYPT_WITHOUT_LEASE"},
    ),
    "a lease was not read": (
        lambda log: log.remove(log.of(RECORDS, log.lease)),
        {"DECRYPT_NOT_READ"},
    ),
    "of a lease only the decrypt is there": (
        lambda log: log.remove(log.of("keyturn-kv/", log.lease)),
        {"DECRYPT_NOT_READ"},
    ),
    "a lease was opened twice": (
        lambda log: log.repeat(log.of(DECRYPT, log.lease), 1),
        {"LEASE_OPENED_TWICE"},
    ),
    "a lease was opened again much later": (
        lambda log: log.repeat(log.of(DECRYPT, log.lease), 3600),
        {"DECRYPT_LATE"},
    ),
    "a lease was read twice": (
        lambda log: log.repeat(log.of(RECORDS, log.lease), 1),
        {"LEASE_READ_TWICE"},
    ),
    "a lease was used again from its read on": (
        lambda log: log.repeat(log.of_lease(), 3600),
        {"LEASE_TIME_WRONG"},
    ),
    "a lease is no id": (lambda log: _rename(log, _OLD_ID), {"LEASE_MALFORMED"}),
    "a lease is of another time": (
        lambda log: _rename(log, _lease_of_another_time(log.lease)),
        {"LEASE_TIME_WRONG"},
    ),
    "a decrypt came before the read": (
        lambda log: log.move(log.of(RECORDS, log.lease), 1),
        {"DECRYPT_BEFORE_READ"},
    ),
    "a decrypt came when its lease had ended": (
        lambda log: log.move(log.of(DECRYPT, log.lease), 40),
        {"DECRYPT_LATE"},
    ),
    "a decrypt was for another app": (
        lambda log: log.relabel(log.of(DECRYPT, log.lease), "app", "spiffe://keyturn.local/app/x"),
        {"LEASE_APP_DIFFERS"},
    ),
    "a decrypt was for another key": (
        lambda log: log.relabel(log.of(DECRYPT, log.lease), "key", "users/bob/keys/openai"),
        {"LEASE_KEY_DIFFERS"},
    ),
    "a decrypt was under another request id": (
        lambda log: log.relabel(log.of(DECRYPT, log.lease), "request-id", "0" * 32),
        {"LEASE_REQUEST_DIFFERS"},
    ),
    "another record was read than was said": (
        _read_another,
        {"RECORD_KEY_DIFFERS", "LEASE_KEY_DIFFERS"},
    ),
    "the controls were not read": (
        lambda log: log.remove(log.of(CONTROLS, log.lease)),
        {"CONTROLS_NOT_READ"},
    ),
    "the controls were not read for a verification": (
        _remove_first_verifications_controls,
        {"CONTROLS_NOT_READ"},
    ),
    "somebody else opened a key": (
        lambda log: log.done_by(log.of(DECRYPT, log.lease), "other", "other"),
        {"DECRYPT_BY_OTHER"},
    ),
    "somebody with the gateway's role and another policy opened a key": (
        lambda log: log.done_by(log.of(DECRYPT, log.lease), "gateway-svc", "wide"),
        {"DECRYPT_BY_OTHER"},
    ),
    "many keys were opened at once": (_batch, {"DECRYPT_BATCHED"}),
    "somebody else read a record": (
        lambda log: log.done_by(log.of(RECORDS, log.lease), "other", "other"),
        {"RECORD_READ_BY_OTHER", "DECRYPT_NOT_READ"},
    ),
    "the answer to a decrypt is gone": (
        lambda log: log.remove(answers(log.of(DECRYPT, log.lease))),
        {"REQUEST_WITHOUT_ANSWER"},
    ),
    "the request of a decrypt is gone": (
        lambda log: log.remove(requests(log.of(DECRYPT, log.lease))),
        {"ANSWER_WITHOUT_REQUEST"},
    ),
    "the answer to a read is gone": (
        lambda log: log.remove(answers(log.of(RECORDS, log.lease))),
        {"REQUEST_WITHOUT_ANSWER"},
    ),
    "the request of a read is gone": (
        lambda log: log.remove(requests(log.of(RECORDS, log.lease))),
        {"ANSWER_WITHOUT_REQUEST"},
    ),
    "the answer to a wrapping is gone": (
        lambda log: log.remove(answers(log.of(WRAP, log.wrapped_lease))),
        {"REQUEST_WITHOUT_ANSWER"},
    ),
    "a hand-off was taken twice": (
        lambda log: log.repeat(log.of(UNWRAP, log.wrapped_lease), 0.5),
        {"HANDOFF_TAKEN_TWICE"},
    ),
    "a hand-off was taken by somebody else": (
        lambda log: log.done_by(log.of(UNWRAP, log.wrapped_lease), "", "default"),
        {"HANDOFF_TOUCHED_BY_OTHER"},
    ),
    "a hand-off was not wrapped": (
        lambda log: log.remove(log.of(WRAP, log.wrapped_lease)),
        {"HANDOFF_NOT_WRAPPED"},
    ),
    "a hand-off was taken for another lease": (
        _take_for_another_lease,
        {"HANDOFF_LEASE_DIFFERS"},
    ),
    "a hand-off was taken late": (
        lambda log: log.move(
            [*log.of(UNWRAP, log.wrapped_lease), *log.of(DECRYPT, log.wrapped_lease)], 33
        ),
        {"HANDOFF_LATE", "DECRYPT_LATE"},
    ),
    "a login gave more than one policy": (_login_with_more, {"SERVICE_HAS_MORE"}),
    "an audit device was switched off": (
        _use("sys/audit/file", "delete"),
        {"AUDIT_DEVICE_CHANGED", "ROOT_TOKEN_USED"},
    ),
    "storage was read": (_use("sys/raw/core/x", "read"), {"RAW_ACCESS", "ROOT_TOKEN_USED"}),
    "another plugin was registered": (
        _use("sys/plugins/catalog/secret/x"),
        {"PLUGIN_CHANGED", "ROOT_TOKEN_USED"},
    ),
    "a snapshot was restored": (
        _use("sys/storage/raft/snapshot-force"),
        {"SNAPSHOT_RESTORED", "ROOT_TOKEN_USED"},
    ),
    "Vault was sealed": (_stop("sys/seal"), {"VAULT_SEALED", "ROOT_TOKEN_USED"}),
    "a node stepped down": (
        _stop("sys/step-down"),
        {"VAULT_STEPPED_DOWN", "ROOT_TOKEN_USED"},
    ),
    "the keys that unseal were changed": (
        _use("sys/rekey/init"),
        {"SEAL_KEYS_CHANGED", "ROOT_TOKEN_USED"},
    ),
    "a transit key came from a backup": (
        _use("keyturn-transit/restore/openai"),
        {"TRANSIT_KEY_RESTORED", "ROOT_TOKEN_USED"},
    ),
}
"""Each by what it is called: how it is done, and the codes by which it is found."""
