from __future__ import annotations

from keyvault_svc.domain.ports import AuditTags
from keyvault_svc.vault.audit_headers import headers_for


def test_a_lease_is_named_with_request_key_and_app() -> None:
    tags = AuditTags("request-0001", "users/alice/keys/openai", "0" * 32, "spiffe://example.org/a")

    assert headers_for(tags) == {
        "X-Keyturn-Request-Id": "request-0001",
        "X-Keyturn-Key": "users/alice/keys/openai",
        "X-Keyturn-Lease": "0" * 32,
        "X-Keyturn-App": "spiffe://example.org/a",
    }


def test_an_operation_of_an_owner_has_neither_lease_nor_app() -> None:
    headers = headers_for(AuditTags("request-0001", "users/alice/keys/openai"))

    assert set(headers) == {"X-Keyturn-Request-Id", "X-Keyturn-Key"}
