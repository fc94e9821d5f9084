"""What a plaintext must look like to be taken into custody."""

from __future__ import annotations

import re
from typing import Final

from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.service_error import InvalidFieldError

# OpenAI documents no format. Keys seen are `sk-...`, `sk-proj-...` and `sk-svcacct-...`, of 51 to
# about 200 characters; the bounds leave room on both sides.
_OPENAI_KEY: Final = re.compile(rb"sk-[A-Za-z0-9_-]{20,400}")
_ADMIN_PREFIX: Final = b"sk-admin-"

FIELD: Final = "api_key"
FORM_RULE: Final = "must be 'sk-' followed by 20 to 400 letters, digits, '-' and '_', and no more"
EMPTY_RULE: Final = "must not be empty"
ADMIN_RULE: Final = (
    "must not be an admin key: those manage an organisation and cannot call models; "
    "make a project key instead"
)


def check_api_key(raw: bytes) -> SecretBytes:
    """Take *raw* as a secret if it can be an OpenAI API key.

    Raises:
        InvalidFieldError: It is empty, malformed or an admin key. The error does not repeat it.
    """
    if not raw:
        raise InvalidFieldError(FIELD, EMPTY_RULE)
    if raw.startswith(_ADMIN_PREFIX):
        raise InvalidFieldError(FIELD, ADMIN_RULE)
    if not _OPENAI_KEY.fullmatch(raw):
        raise InvalidFieldError(FIELD, FORM_RULE)
    return SecretBytes(raw)
