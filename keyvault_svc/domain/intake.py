"""What a plaintext, and what its owner says of it, must look like to be taken into custody."""

from __future__ import annotations

import re
from typing import Final

from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.service_error import InvalidFieldError

# OpenAI documents no format. Keys seen are `sk-...`, `sk-proj-...` and `sk-svcacct-...`, of 51 to
# about 200 characters; the bounds leave room on both sides.
_OPENAI_KEY: Final = re.compile(rb"sk-[A-Za-z0-9_-]{20,400}")
_ADMIN_PREFIX: Final = b"sk-admin-"
# Ids seen are `key_` and some 16 letters and digits; nothing documents their length.
_KEY_ID: Final = re.compile(r"key_[A-Za-z0-9_-]{4,124}")

FIELD: Final = "api_key"
FORM_RULE: Final = "must be 'sk-' followed by 20 to 400 letters, digits, '-' and '_', and no more"
EMPTY_RULE: Final = "must not be empty"
ADMIN_RULE: Final = (
    "must not be an admin key: those manage an organisation and cannot call models; "
    "make a project key instead"
)
ADMIN_ONLY_RULE: Final = (
    "must be an admin key: the key of this name asks OpenAI for usage, and serves no app"
)
KEY_ID_RULE: Final = "must be empty, or 'key_' followed by 4 to 124 letters, digits, '_' and '-'"


def check_api_key(raw: bytes, *, is_admin_key: bool = False) -> SecretBytes:
    """Take *raw* as a secret if it can be an OpenAI API key.

    Args:
        raw: The plaintext.
        is_admin_key: Whether it is for the one name under which the deployment's admin key is
            kept: there it must be an admin key, and everywhere else none.

    Raises:
        InvalidFieldError: It is empty, malformed or of the other sort. The error does not repeat
            it.
    """
    if not raw:
        raise InvalidFieldError(FIELD, EMPTY_RULE)
    if raw.startswith(_ADMIN_PREFIX) and not is_admin_key:
        raise InvalidFieldError(FIELD, ADMIN_RULE)
    if not _OPENAI_KEY.fullmatch(raw):
        raise InvalidFieldError(FIELD, FORM_RULE)
    if is_admin_key and not raw.startswith(_ADMIN_PREFIX):
        raise InvalidFieldError(FIELD, ADMIN_ONLY_RULE)
    return SecretBytes(raw)


def check_openai_key_id(field: str, unverified: str) -> str:
    """Return *unverified* if it can be a key's id at OpenAI, or is empty for not told.

    Raises:
        InvalidFieldError: It cannot.
    """
    if unverified and not _KEY_ID.fullmatch(unverified):
        raise InvalidFieldError(field, KEY_ID_RULE)
    return unverified
