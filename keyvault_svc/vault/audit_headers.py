"""The request headers that Vault writes into its audit log, unhashed."""

from __future__ import annotations

from typing import Final

from keyvault_svc.domain.ports import AuditTags

REQUEST_ID: Final = "X-Keyturn-Request-Id"
LEASE: Final = "X-Keyturn-Lease"
APP: Final = "X-Keyturn-App"
KEY: Final = "X-Keyturn-Key"


def headers_for(tags: AuditTags) -> dict[str, str]:
    """Return the headers that say *tags*; an empty tag has none."""
    headers = {
        REQUEST_ID: tags.request_id,
        KEY: tags.key,
        LEASE: tags.lease_id,
        APP: tags.app,
    }
    return {name: value for name, value in headers.items() if value}
