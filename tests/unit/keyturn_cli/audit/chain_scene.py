"""A service's audit stream, written as the service does, for tests to tamper with."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from keyturn_cli.audit.entries import Place, VaultEntry, parse_service_line, parse_vault_line
from keyturn_cli.audit.findings import Finding
from keyturn_cli.audit.options import VerifyOptions
from keyturn_cli.audit.rules.chains import Chains
from keyturn_cli.audit.signing_keys import SigningKey
from svc_runtime.audit_stream.chain import Chain, Head

SERVICE: Final = "gateway-svc"
_SECRET: Final = Ed25519PrivateKey.generate()
SIGNING_KEY: Final = SigningKey(
    SERVICE,
    1,
    base64.b64encode(_SECRET.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode(),
)


def time_of(second: float) -> str:
    """Return the time *second* seconds after the beginning."""
    whole, part = divmod(second, 1)
    clock = int(whole)
    hours, rest = divmod(clock, 3600)
    return f"2026-03-01T{12 + hours:02d}:{rest // 60:02d}:{rest % 60:02d}.{int(part * 1e6):06d}Z"


def signature_of(head: Head, secret: Ed25519PrivateKey = _SECRET) -> str:
    """Return Vault's signature of *head*."""
    return f"vault:v1:{base64.b64encode(secret.sign(head.message())).decode()}"


class Writer:
    """Writes a chain.

    Attributes:
        lines: What was written, each without its newline.
        attested: Vault's log of signatures: the second, the request id, and the signing key.
    """

    def __init__(self, service: str = SERVICE) -> None:
        self.service = service
        self.chain = Chain(service)
        self.lines: list[bytes] = []
        self.attested: list[tuple[float, str]] = []
        self.second = 0.0

    def write(self, event: str = "rpc", **fields: str | int) -> None:
        """Write a line, a second after the one before."""
        self.second += 1
        line = {"event": event, "service": self.service, "time": time_of(self.second), **fields}
        self.lines.append(self.chain.link(json.dumps(line)).rstrip(b"\n"))

    def write_many(self, count: int) -> None:
        """Write *count* lines."""
        for number in range(count):
            self.write(count=number)

    def checkpoint(self, signature: str | None = None) -> None:
        """Have the head signed, and write so."""
        head = self.chain.head
        self.attested.append((self.second, head.request_id()))
        self.write(
            "audit_checkpoint",
            signed_seq=head.seq,
            signed_head=head.digest,
            signature=signature or signature_of(head),
        )

    def end(self) -> None:
        """Write the end of the chain."""
        self.write("audit_stream_closed")
        self.checkpoint()


def whole_chain() -> Writer:
    """Return a chain of 27 lines: opened, 10, checkpoint, 10, checkpoint, 2, closed, checkpoint."""
    writer = Writer()
    writer.write("audit_stream_opened")
    writer.write_many(10)
    writer.checkpoint()
    writer.write_many(10)
    writer.checkpoint()
    writer.write_many(2)
    writer.end()
    return writer


def vault_entry(second: float, request_id: str, service: str = SERVICE) -> VaultEntry:
    """Return Vault's answer to a signature, as its log has it."""
    entry = {
        "type": "response",
        "time": time_of(second),
        "auth": {"metadata": {"role_name": service}, "policies": [service]},
        "request": {
            "id": f"{second}-{request_id}",
            "operation": "update",
            "path": f"keyturn-transit/sign/audit-{service}",
            "headers": {"x-keyturn-request-id": [request_id]},
        },
        "response": {"data": {"signature": "hmac-sha256:0"}},
    }
    parsed = parse_vault_line(json.dumps(entry).encode(), Place("vault.log", 1))
    assert parsed is not None
    return parsed


def judged(
    lines: Sequence[bytes],
    attested: Iterable[tuple[float, str]] = (),
    *,
    keys: tuple[SigningKey, ...] = (SIGNING_KEY,),
    rule: Chains | None = None,
) -> list[Finding]:
    """Return all that the rule finds in a service's *lines*, and in what Vault *attested*."""
    rule = rule or Chains(VerifyOptions(signing_keys=keys))
    return [*seen(rule, lines, attested), *rule.finish()]


def seen(
    rule: Chains, lines: Sequence[bytes], attested: Iterable[tuple[float, str]] = ()
) -> list[Finding]:
    """Show *rule* both logs, merged by time, and return what it finds before the end."""
    entries = [vault_entry(second, request_id) for second, request_id in attested]
    findings: list[Finding] = []
    for number, raw in enumerate(lines, 1):
        record = parse_service_line(raw, Place("gateway-svc.log", number))
        assert record is not None
        while entries and entries[0].time_us < record.time_us:
            findings += rule.see_vault(entries.pop(0))
        findings += rule.see_service(record)
    for entry in entries:
        findings += rule.see_vault(entry)
    return findings


def codes(findings: Iterable[Finding]) -> list[str]:
    """Return the codes of *findings*."""
    return [finding.code for finding in findings]


def altered(line: bytes) -> bytes:
    """Return *line* with other content."""
    return line.replace(b'"count": ', b'"count": 9')


def chained_again(lines: Iterable[bytes], *, with_heads: bool) -> list[bytes]:
    """Return *lines* as somebody without the signing key would chain them anew.

    Args:
        lines: What they are to say.
        with_heads: Whether checkpoints are made to name the new hashes.
    """
    objects = [json.loads(line) for line in lines]
    chain = Chain(SERVICE)
    chain.head = Head(objects[0]["chain"], 0, "0" * 64)
    digests: list[str] = []
    again = []
    for content in objects:
        for name in ("chain", "seq", "prev"):
            del content[name]
        if with_heads and "signed_seq" in content:
            content["signed_head"] = digests[content["signed_seq"] - 1]
        again.append(chain.link(json.dumps(content)).rstrip(b"\n"))
        digests.append(chain.head.digest)
    return again
