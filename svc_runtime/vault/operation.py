"""What a request asks of Vault, in one word of a closed set: no path, and so no name, is in it."""

from __future__ import annotations

import re
from typing import Final

OTHER_OPERATION: Final = "other"

# By what comes after a mount's name, or after `sys` and `auth`; a method stands where it decides.
_LIST: Final = "LIST"
_WORDS: Final = {
    ("data", "GET"): "kv.read",
    ("data", ""): "kv.write",
    ("metadata", _LIST): "kv.list",
    ("metadata", "GET"): "kv.read_metadata",
    ("metadata", "DELETE"): "kv.delete",
    ("destroy", ""): "kv.destroy",
    ("delete", ""): "kv.delete",
    ("encrypt", ""): "transit.encrypt",
    ("decrypt", ""): "transit.decrypt",
    ("rewrap", ""): "transit.rewrap",
    ("hmac", ""): "transit.hmac",
    ("sign", ""): "transit.sign",
    ("keys", "GET"): "transit.read_key",
    ("keys", ""): "transit.write_key",
}
_FIXED: Final = {
    "sys/wrapping/wrap": "wrapping.wrap",
    "sys/wrapping/lookup": "wrapping.lookup",
    "sys/wrapping/unwrap": "wrapping.unwrap",
    "auth/token/renew-self": "token.renew",
    "auth/token/revoke-self": "token.revoke",
    "auth/token/lookup-self": "token.lookup",
}
_LOGIN: Final = "auth.login"
_LOGIN_PATH: Final = re.compile(r"auth/[^/]+/login(?:/.*)?")
_BELOW_MOUNT: Final = re.compile(r"[^/]+/([a-z]+)(?:/.*)?")

OPERATIONS: Final = frozenset({*_WORDS.values(), *_FIXED.values(), _LOGIN})
"""All words but `other`."""


def operation_of(method: str, path: str, *, is_list: bool = False) -> str:
    """Return what a request asks for, such as `kv.read`; `other` for what is not known.

    Args:
        method: HTTP method.
        path: From `/v1/` on.
        is_list: Whether it asks for a list, which travels as a GET.
    """
    place = path.removeprefix("/v1/")
    if place in _FIXED:
        return _FIXED[place]
    if _LOGIN_PATH.fullmatch(place):
        return _LOGIN
    found = _BELOW_MOUNT.fullmatch(place)
    if found is None or place.startswith(("sys/", "auth/")):
        return OTHER_OPERATION
    method = _LIST if is_list else method.upper()
    word = found[1]
    return _WORDS.get((word, method)) or _WORDS.get((word, ""), OTHER_OPERATION)
