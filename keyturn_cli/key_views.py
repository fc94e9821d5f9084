"""Records of keys as documents with stable names, as rows of tables and as fields."""

from __future__ import annotations

from datetime import datetime
from typing import Final, TypedDict

from keyturn.keyvault.v1 import key_pb2 as key_pb
from keyturn_cli.key_dues import age_of, dues_of
from keyturn_cli.limit_views import LimitsDocument, limits_document, limits_words
from keyturn_cli.record_views import for_people, iso_time

KEY_COLUMNS: Final = ("name", "state", "version", "age", "due", "active grants", "creator")


class VerificationDocument(TypedDict):
    """What OpenAI said of a key, for programs."""

    outcome: str
    verify_time: str


class VersionDocument(TypedDict):
    """One plaintext of a key, for programs."""

    key_version: int
    state: str
    create_time: str | None
    destroy_time: str | None
    verification: VerificationDocument | None
    openai_key_id: str | None


class KeyDocument(TypedDict):
    """A key's record, for programs. Times are ISO 8601, in UTC."""

    name: str
    state: str
    key_version: int
    create_time: str | None
    rotate_time: str | None
    expire_time: str | None
    rotate_due_time: str | None
    assurance: str
    base_url: str | None
    openai_key_id: str | None
    limits: LimitsDocument
    verification: VerificationDocument | None
    incoming: VersionDocument | None
    retiring: VersionDocument | None
    active_grant_count: int
    creator: str


class ProofDocument(TypedDict):
    """What a deletion destroyed, for programs."""

    key: str
    destroyed_version_count: int
    confirm_time: str


def key_document(key: key_pb.Key) -> KeyDocument:
    """Return *key* for programs."""
    return KeyDocument(
        name=key.name,
        state=state_word(key.state),
        key_version=key.key_version,
        create_time=iso_time(key.create_time) if key.HasField("create_time") else None,
        rotate_time=iso_time(key.rotate_time) if key.HasField("rotate_time") else None,
        expire_time=iso_time(key.expire_time) if key.HasField("expire_time") else None,
        rotate_due_time=iso_time(key.rotate_due_time) if key.HasField("rotate_due_time") else None,
        assurance=_assurance_word(key.assurance),
        base_url=key.base_url or None,
        openai_key_id=key.openai_key_id or None,
        limits=limits_document(key.limits),
        verification=_verification(key),
        incoming=_version_document(key.incoming) if key.HasField("incoming") else None,
        retiring=_version_document(key.retiring) if key.HasField("retiring") else None,
        active_grant_count=key.active_grant_count,
        creator=key.creator,
    )


def key_row(key: key_pb.Key, now: datetime) -> list[str]:
    """Return *key*, as it stands at *now*, as a row under `KEY_COLUMNS`."""
    return [
        key.name,
        state_word(key.state),
        str(key.key_version),
        age_of(key, now),
        "; ".join(due.text for due in dues_of(key, now)),
        str(key.active_grant_count),
        key.creator,
    ]


def key_fields(key: key_pb.Key, now: datetime) -> list[tuple[str, str]]:
    """Return all of *key*, as it stands at *now*, as named lines."""
    document = key_document(key)
    fields = [
        ("name", key.name),
        ("state", document["state"]),
        ("due", "; ".join(due.text for due in dues_of(key, now)) or "nothing"),
        ("version", str(key.key_version)),
        ("age", age_of(key, now)),
        ("verification", _verification_words(document["verification"])),
        ("incoming", _version_words(document["incoming"])),
        ("retiring", _version_words(document["retiring"])),
        ("rotate by", for_people(document["rotate_due_time"])),
        ("expires", for_people(document["expire_time"]) or "never"),
        ("assurance", document["assurance"]),
        ("used at", document["base_url"] or "the deployment's default"),
        ("id at OpenAI", document["openai_key_id"] or "not told: use elsewhere is not found"),
        ("limits", limits_words(document["limits"])),
        ("created", for_people(document["create_time"])),
        ("rotated", for_people(document["rotate_time"])),
        ("active grants", str(key.active_grant_count)),
        ("creator", key.creator),
    ]
    return [(name, value or "none") for name, value in fields]


def proof_document(proof: key_pb.DeletionProof) -> ProofDocument:
    """Return *proof* for programs."""
    return ProofDocument(
        key=proof.key,
        destroyed_version_count=proof.destroyed_version_count,
        confirm_time=iso_time(proof.confirm_time),
    )


def proof_words(proof: key_pb.DeletionProof) -> str:
    """Return *proof* as a sentence."""
    count = proof.destroyed_version_count
    versions = "1 stored version" if count == 1 else f"{count} stored versions"
    confirmed = for_people(iso_time(proof.confirm_time))
    return (
        f"Destroyed {proof.key}: {versions} of its record, with all grants. "
        f"Vault confirmed at {confirmed} that nothing of it is left in the live store."
    )


def state_word(state: key_pb.KeyState.ValueType) -> str:
    """Return the name of *state*, for programs and people."""
    return key_pb.KeyState.Name(state).removeprefix("KEY_STATE_").lower()


def _assurance_word(assurance: key_pb.KeyAssurance.ValueType) -> str:
    return key_pb.KeyAssurance.Name(assurance).removeprefix("KEY_ASSURANCE_").lower()


def _verification(holder: key_pb.Key | key_pb.KeyVersion) -> VerificationDocument | None:
    if not holder.HasField("verification"):
        return None
    outcome = key_pb.VerificationOutcome.Name(holder.verification.outcome)
    return VerificationDocument(
        outcome=outcome.removeprefix("VERIFICATION_OUTCOME_").lower(),
        verify_time=iso_time(holder.verification.verify_time),
    )


def _version_document(version: key_pb.KeyVersion) -> VersionDocument:
    return VersionDocument(
        key_version=version.key_version,
        state=state_word(version.state),
        create_time=iso_time(version.create_time) if version.HasField("create_time") else None,
        destroy_time=iso_time(version.destroy_time) if version.HasField("destroy_time") else None,
        verification=_verification(version),
        openai_key_id=version.openai_key_id or None,
    )


def _verification_words(verification: VerificationDocument | None) -> str:
    if verification is None:
        return "none has ended yet"
    return f"{verification['outcome'].replace('_', ' ')}, {for_people(verification['verify_time'])}"


def _version_words(version: VersionDocument | None) -> str:
    if version is None:
        return ""
    said = [
        f"version {version['key_version']}, {version['state']}",
        f"since {for_people(version['create_time'])}",
    ]
    if version["state"] == "retiring":
        said = [f"version {version['key_version']}", "kept to undo the rotation"]
    else:
        said.append(f"verification: {_verification_words(version['verification'])}")
    if version["destroy_time"]:
        said.append(f"destroyed at {for_people(version['destroy_time'])}")
    return ", ".join(said)
