"""What an Envoy says of a request: read as that Envoy sends it on, or refused."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address
from typing import Final

from gateway_svc.domain.endpoint import RULE as PATH_RULE
from gateway_svc.domain.endpoint import Endpoint
from gateway_svc.domain.headers import Headers, may_pass_to_openai
from gateway_svc.domain.http_request import check_header_value, check_method, check_query
from keyturn.envoy.v3 import external_auth_service_pb2 as auth_pb
from svc_runtime.service_error import InvalidFieldError

ROUTE_LABEL: Final = "keyturn-upstream"
"""Name in a route's `context_extensions` under which it says where it leads."""

_PREFIX: Final = "/v1/"
# Written by Envoy beside a body that it sends along; what a client sends under it, Envoy drops.
_PARTIAL_BODY: Final = "x-envoy-auth-partial-body"
_POLICY_HEADERS: Final = ("content-type", "content-encoding")
_JSON: Final = "application/json"
_WITHOUT_BODY: Final = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})


class ProxiedRequest:
    """The request in a `CheckRequest`; nothing in it is verified before its method is called."""

    def __init__(self, unverified: auth_pb.CheckRequest) -> None:
        """Read *unverified*, which an Envoy sent.

        Raises:
            InvalidFieldError: Its headers come in two forms.
        """
        self._attributes = unverified.attributes
        self._http = unverified.attributes.request.http
        self.headers = _headers(self._http)

    def single(self, name: str) -> str | None:
        """Return the value of the header *name*, in lower case; None where there is none.

        Where Envoy joins the values of a repeated header by commas, the result holds them all.

        Raises:
            InvalidFieldError: It is there more than once.
        """
        values = self.values(name)
        if len(values) > 1:
            raise InvalidFieldError(name, "must be given once")
        return values[0] if values else None

    def values(self, name: str) -> list[str]:
        """Return all values of the header *name*, in lower case."""
        return [value for key, value in self.headers if key == name]

    def route_label(self) -> str:
        """Return where the request's route leads, by its label; empty when it has none."""
        return str(self._attributes.context_extensions.get(ROUTE_LABEL, ""))

    def source_ip(self) -> str:
        """Return the address that the request came from, as Envoy knows it.

        Raises:
            InvalidFieldError: Envoy does not say.
        """
        try:
            address = ip_address(self._attributes.source.address.socket_address.address)
        except ValueError:
            address = None
        if address is None:
            raise InvalidFieldError("source.address", "must be an IP address")
        mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
        return str(mapped or address)

    def method(self) -> str:
        """Return the HTTP method.

        Raises:
            InvalidFieldError: It is none that passes, or asks for another protocol.
        """
        if self.values("upgrade"):
            raise InvalidFieldError(
                "upgrade", "must be absent: the gateway itself serves WebSockets"
            )
        return check_method(self._http.method, "method")

    def target(self) -> tuple[Endpoint, str]:
        """Return endpoint and query, which Envoy has in one.

        Raises:
            InvalidFieldError: The path is none of OpenAI's, or could be read in two ways.
        """
        if self._http.query or self._http.fragment:
            raise InvalidFieldError("query", "must stand in the path")
        path, _, query = self._http.path.partition("?")
        if not path.startswith(_PREFIX):
            raise InvalidFieldError("path", PATH_RULE)
        return Endpoint.parse(path.removeprefix(_PREFIX)), check_query(query, "query")

    def passing_headers(self) -> Headers:
        """Return the headers that OpenAI may see.

        Raises:
            InvalidFieldError: One could be read in two ways.
        """
        for name in _POLICY_HEADERS:
            self.single(name)
        return tuple(
            (name, check_header_value(value, name))
            for name, value in self.headers
            if may_pass_to_openai(name)
        )

    def body(self, *, takes_text: bool) -> bytes:
        """Return the body, byte by byte as it will be sent on.

        Args:
            takes_text: Whether JSON may come as text, where Envoy writes `!` for each byte that is
                not UTF-8.

        Raises:
            InvalidFieldError: Envoy holds back some of it, or has changed it.
        """
        body = bytes(self._http.raw_body)
        if self._http.body:
            if body or not takes_text or not self._is_plain_json():
                raise InvalidFieldError("body", "must come as bytes: see Envoy's pack_as_bytes")
            body = self._http.body.encode("utf-8")
        is_partial, length = self.single(_PARTIAL_BODY), self.single("content-length")
        if is_partial is None and not body and self._says_that_there_is_no_body(length):
            return b""
        if is_partial is None:
            raise InvalidFieldError("body", "must come along: see Envoy's with_request_body")
        if is_partial != "false" or length not in {None, str(len(body))}:
            raise InvalidFieldError("body", "must come whole: see Envoy's max_request_bytes")
        return body

    def _is_plain_json(self) -> bool:
        content_type, encoding = self.single("content-type"), self.single("content-encoding")
        return encoding is None and (content_type or "").partition(";")[0].strip().lower() == _JSON

    def _says_that_there_is_no_body(self, length: str | None) -> bool:
        """Tell whether no body follows. Over HTTP/2 the head of a POST does not say."""
        if self.values("transfer-encoding"):
            return False
        return length == "0" or (length is None and self._http.method in _WITHOUT_BODY)


def _headers(http: auth_pb.HttpRequest) -> Headers:
    """Return all headers, pseudo-headers included, by their names in lower case."""
    raw = [
        (str(entry.key), entry.raw_value.decode("utf-8", "replace") or str(entry.value))
        for entry in http.header_map.headers
    ]
    if raw and http.headers:
        raise InvalidFieldError("headers", "must come in one form")
    return tuple((name.lower(), str(value)) for name, value in raw or http.headers.items())
