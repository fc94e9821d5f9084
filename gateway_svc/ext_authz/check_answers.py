"""Answers to Envoys: a key to send, or the answer that the app gets in place of OpenAI's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from grpc import StatusCode

from gateway_svc.domain.errors import SealedKeyUnusableError
from gateway_svc.domain.headers import Headers
from gateway_svc.domain.proxied_calls import OpenedKey
from gateway_svc.ext_authz.passing import headers_to_remove
from keyturn.envoy.v3 import external_auth_service_pb2 as auth_pb

AUTHORIZATION: Final = "authorization"
_CODE_OF_STATUS: Final[Mapping[int, StatusCode]] = {
    400: StatusCode.INVALID_ARGUMENT,
    401: StatusCode.UNAUTHENTICATED,
    429: StatusCode.RESOURCE_EXHAUSTED,
}
_FIRST_SERVER_ERROR: Final = 500
# What a key may hold that becomes a header in a process of somebody else's.
_KEY: Final = re.compile(rb"[\x21-\x7e]+")


def allowed(opened: OpenedKey, headers: Headers, key_header: str) -> auth_pb.CheckResponse:
    """Return the answer that has Envoy send the request with the key of *opened*.

    Args:
        opened: The key and its receipt.
        headers: The app's.
        key_header: Where the key goes. Under another name than `authorization` it goes bare: the
            filter that reads it there makes the header of it.

    Raises:
        SealedKeyUnusableError: The key could end the header that it goes into.
    """
    if not _KEY.fullmatch(opened.api_key.expose()):
        raise SealedKeyUnusableError
    answer = auth_pb.CheckResponse()
    answer.status.code = StatusCode.OK.value[0]
    ok = answer.ok_response
    ok.headers.append(
        auth_pb.HeaderValueOption(
            header=auth_pb.HeaderValue(
                key=key_header,
                value=("Bearer " if key_header == AUTHORIZATION else "")
                + opened.api_key.expose().decode("ascii"),
            ),
            append_action=auth_pb.HEADER_APPEND_ACTION_OVERWRITE,
        )
    )
    ok.headers_to_remove.extend(
        headers_to_remove(
            headers, key_header=key_header, may_choose_account=opened.may_choose_account
        )
    )
    receipt = opened.receipt.headers()
    ok.response_headers_to_add.extend(_option(name, value) for name, value in receipt)
    for name, value in receipt:
        answer.dynamic_metadata[name] = value
    return answer


def denied(status: int, headers: Mapping[str, str], body: bytes) -> auth_pb.CheckResponse:
    """Return the answer that has Envoy refuse the request.

    Outages come so, too, and never as `error_response`: that one an Envoy with
    `failure_mode_allow` would take for a yes.

    Args:
        status: HTTP status that the app gets.
        headers: Headers that it gets.
        body: Body that it gets, JSON.
    """
    answer = auth_pb.CheckResponse()
    answer.status.code = _code_of(status).value[0]
    answer.denied_response.status.code = status
    answer.denied_response.headers.extend(_option(name, value) for name, value in headers.items())
    answer.denied_response.body = body.decode()
    return answer


def _code_of(status: int) -> StatusCode:
    if status >= _FIRST_SERVER_ERROR:
        return StatusCode.UNAVAILABLE
    return _CODE_OF_STATUS.get(status, StatusCode.PERMISSION_DENIED)


def _option(name: str, value: str) -> auth_pb.HeaderValueOption:
    return auth_pb.HeaderValueOption(
        header=auth_pb.HeaderValue(key=name, value=value),
        append_action=auth_pb.HEADER_APPEND_ACTION_OVERWRITE,
    )
