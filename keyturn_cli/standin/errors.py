"""OpenAI's errors, as api.openai.com words them.

These are what the stand-in's clients see in place of OpenAI, so they follow OpenAI's
catalogue and not Keyturn's closed set of errors.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Final

_INVALID_REQUEST: Final = "invalid_request_error"
_SERVER_ERROR: Final = "server_error"
_KEYS_PAGE: Final = "https://platform.openai.com/account/api-keys"
_NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})


class ApiError(Exception):
    """An answer other than success.

    Attributes:
        status: The HTTP status.
        headers: Headers that belong to this error.
    """

    def __init__(
        self,
        status: HTTPStatus,
        message: str,
        *,
        error_type: str = _INVALID_REQUEST,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] = _NO_HEADERS,
    ) -> None:
        """Keep what OpenAI's error object says; the message may quote the request."""
        super().__init__(error_type)
        self.status = status
        self.headers = headers
        self._error = {"message": message, "type": error_type, "param": param, "code": code}

    def body(self) -> dict[str, dict[str, str | None]]:
        """Return the JSON body in OpenAI's shape."""
        return {"error": self._error}


def missing_key() -> ApiError:
    """Return the error for a request without a bearer key."""
    return ApiError(
        HTTPStatus.UNAUTHORIZED,
        "You didn't provide an API key. You need to provide your API key in an Authorization "
        "header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY), or as the password "
        "field (with blank username) if you're accessing the API from your browser and are "
        "prompted for a username and password. You can obtain an API key from "
        f"{_KEYS_PAGE}.",
    )


def several_keys() -> ApiError:
    """Return the error for a request with more than one Authorization header."""
    return ApiError(HTTPStatus.BAD_REQUEST, "Send exactly one Authorization header.")


def incorrect_key(shown_key: str) -> ApiError:
    """Return the error for a wrong key; it repeats *shown_key*, the key as masked."""
    return ApiError(
        HTTPStatus.UNAUTHORIZED,
        f"Incorrect API key provided: {shown_key}. You can find your API key at {_KEYS_PAGE}.",
        code="invalid_api_key",
    )


def rate_limited(headers: Mapping[str, str] = _NO_HEADERS) -> ApiError:
    """Return the error of a key that has spent its requests per minute.

    *headers* replace or join those that OpenAI always sends with it.
    """
    return ApiError(
        HTTPStatus.TOO_MANY_REQUESTS,
        "Rate limit reached in organization org-standin on requests per min (RPM): Limit 3, "
        "Used 3, Requested 1. Please try again in 20s. Visit "
        "https://platform.openai.com/account/rate-limits to learn more.",
        error_type="requests",
        code="rate_limit_exceeded",
        headers={
            "retry-after": "20",
            "x-ratelimit-limit-requests": "3",
            "x-ratelimit-remaining-requests": "0",
            "x-ratelimit-reset-requests": "20s",
            **headers,
        },
    )


def quota_spent() -> ApiError:
    """Return the error of an account without credit."""
    return ApiError(
        HTTPStatus.TOO_MANY_REQUESTS,
        "You exceeded your current quota, please check your plan and billing details. For more "
        "information on this error, read the docs: "
        "https://platform.openai.com/docs/guides/error-codes/api-errors.",
        error_type="insufficient_quota",
        code="insufficient_quota",
    )


def server_failed(request_id: str, detail: str = "") -> ApiError:
    """Return the error of a fault within OpenAI; it ends with *detail*."""
    return ApiError(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "The server had an error while processing your request. Sorry about that! You can retry "
        "your request, or contact us through our help center at help.openai.com if the error "
        f"persists. (Please include the request ID {request_id} in your message.){detail}",
        error_type=_SERVER_ERROR,
    )


def overloaded(request_id: str) -> ApiError:
    """Return the error of a model that has too much to do."""
    return ApiError(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "That model is currently overloaded with other requests. You can retry your request, or "
        "contact us through our help center at help.openai.com if the error persists. (Please "
        f"include the request ID {request_id} in your message.)",
        error_type=_SERVER_ERROR,
    )


def missing_scopes(scope: str = "model.request") -> ApiError:
    """Return the error of a key without the *scope* that the request needs."""
    return ApiError(
        HTTPStatus.FORBIDDEN,
        f"You have insufficient permissions for this operation. Missing scopes: {scope}. "
        "Check that you have the correct role in your organization (Reader, Writer, Owner) and "
        "project (Member, Owner), and if you're using a restricted API key, that it has the "
        "necessary scopes.",
    )


def ip_not_authorized() -> ApiError:
    """Return the error of a key that OpenAI takes from some addresses only."""
    return ApiError(
        HTTPStatus.UNAUTHORIZED,
        "Your request IP does not match the configured IP allowlist for your project or "
        "organization.",
        code="ip_not_authorized",
    )


def invalid_url(method: str, path: str) -> ApiError:
    """Return the error for a path or method that the API does not have."""
    return ApiError(HTTPStatus.NOT_FOUND, f"Invalid URL ({method} {path})")


def body_too_large() -> ApiError:
    """Return the error for a body that the server does not read to its end."""
    return ApiError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The request body is too large.")


def unreadable_body() -> ApiError:
    """Return the error for a body that is no JSON object."""
    return ApiError(
        HTTPStatus.BAD_REQUEST,
        "We could not parse the JSON body of your request. (HINT: This likely means you aren't "
        "using your HTTP library correctly. The OpenAI API expects a JSON payload, but what was "
        "sent was not valid JSON. If you have trouble figuring out how to fix this, please "
        "contact us through our help center at help.openai.com.)",
    )


def unreadable_form() -> ApiError:
    """Return the error for a multipart body without its end."""
    return ApiError(HTTPStatus.BAD_REQUEST, "Could not parse multipart form.")


def missing_parameter(param: str) -> ApiError:
    """Return the error for a required parameter that is absent."""
    return invalid_parameter(
        f"Missing required parameter: '{param}'.", param, "missing_required_parameter"
    )


def invalid_parameter(message: str, param: str, code: str | None = None) -> ApiError:
    """Return a 400 about *param*."""
    return ApiError(HTTPStatus.BAD_REQUEST, message, param=param, code=code)


def missing_beta() -> ApiError:
    """Return the error for a request of the Assistants API that does not name its version."""
    return ApiError(
        HTTPStatus.BAD_REQUEST,
        "You must provide the 'OpenAI-Beta' header to access the Assistants API. Please try again "
        "by setting the header 'OpenAI-Beta: assistants=v2'.",
        code="invalid_beta",
    )


def unknown_model(model: str) -> ApiError:
    """Return the error for a model that does not exist."""
    return ApiError(
        HTTPStatus.NOT_FOUND,
        f"The model `{model}` does not exist or you do not have access to it.",
        code="model_not_found",
    )
