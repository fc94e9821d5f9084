"""Which app a verified token names: the rule of its issuer, the same for both services.

Three kinds of tokens name apps. Each has a subject, and of the subject follows the app id:

| kind         | subject                               | app id                               |
|--------------|---------------------------------------|--------------------------------------|
| `spiffe`     | claim `sub` (JWT-SVID), or another    | the subject itself                   |
| `kubernetes` | claim `sub`, a service account        | by the table of apps or the template |
| `oidc`       | claim `client_id`, or another         | by the table of apps or the template |

Nothing is ever rewritten: what does not fit into a SPIFFE ID as it is names no app.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Final, Literal, TypeAlias

from svc_runtime.app_id_template import AppIdTemplate
from svc_runtime.spiffe_id import SpiffeId

Kind: TypeAlias = Literal["spiffe", "kubernetes", "oidc"]

# What a template of a kind may, and must, name.
TEMPLATE_FIELDS: Final[Mapping[Kind, frozenset[str]]] = {
    "spiffe": frozenset(),
    "kubernetes": frozenset({"namespace", "name"}),
    "oidc": frozenset({"claim"}),
}

# Kubernetes, "Object Names and IDs": a namespace is an RFC 1123 label, a service account's name an
# RFC 1123 subdomain.
_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_SERVICE_ACCOUNT: Final = re.compile(
    rf"system:serviceaccount:(?P<namespace>{_LABEL}):(?P<name>(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*)"
)
# OpenID Connect Core, section 2, and RFC 9068, section 2.2.1: what only tokens have for which a
# person signed in. Some issuers write an `auth_time` of 0 into every token.
_OF_PEOPLE: Final = ("nonce", "auth_time", "at_hash", "c_hash")


class NoAppError(Exception):
    """A verified token names no app. The text is the rule that it breaks, without its claims."""


@dataclass(frozen=True, slots=True)
class AppNaming:
    """How tokens of one issuer name apps.

    Attributes:
        kind: What its tokens look like.
        claim: Where the subject is.
        template: Makes an app id of a subject; None for `spiffe`, or where only `apps` serve.
        apps: App ids by subject, before the template.
        scopes: App ids that the issuer may name: each a prefix that ends in `/`, or one id. None
            is every id.
        required_claims: What its tokens must say besides.
        is_single_audience: Whether a token for further audiences names no app.
    """

    kind: Kind = "spiffe"
    claim: str = "sub"
    template: AppIdTemplate | None = None
    apps: Mapping[str, SpiffeId] = field(default_factory=dict)
    scopes: tuple[str, ...] | None = None
    required_claims: Mapping[str, str] = field(default_factory=dict)
    is_single_audience: bool = False

    def app_of(self, claims: Mapping[str, Any]) -> SpiffeId:
        """Return the app that *claims*, which are verified, name.

        Raises:
            NoAppError: They name none, or one that the issuer may not name.
        """
        if self.is_single_audience and not _is_one(claims.get("aud")):
            raise NoAppError("further audiences")
        if any(claims.get(name) != value for name, value in self.required_claims.items()):
            raise NoAppError("a required claim")
        subject = claims.get(self.claim)
        if not isinstance(subject, str):
            raise NoAppError("no subject")
        fields = _FIELDS[self.kind](subject, claims)
        app = self.apps.get(subject) or self._made_of(subject, fields)
        if self.scopes is not None and not any(covers(scope, str(app)) for scope in self.scopes):
            raise NoAppError("an app of somebody else")
        return app

    def _made_of(self, subject: str, fields: Mapping[str, str]) -> SpiffeId:
        if self.kind != "spiffe" and self.template is None:
            raise NoAppError("not in the table of apps")
        try:
            return SpiffeId.parse(self.template.fill(fields) if self.template else subject)
        except ValueError:
            pass
        raise NoAppError("no SPIFFE ID")


def covers(scope: str, app: str) -> bool:
    """Tell whether *app*, an app id or a scope, lies in *scope*."""
    return app == scope or (scope.endswith("/") and app.startswith(scope))


def overlap(scopes: Iterable[str], others: Iterable[str]) -> bool:
    """Tell whether some app id lies both in one of *scopes* and in one of *others*."""
    return any(covers(a, b) or covers(b, a) for a, b in product(scopes, others))


def fields_of(kind: Kind, subject: str) -> Mapping[str, str] | None:
    """Return what the template of *kind* is filled with for *subject*; None if it cannot be."""
    try:
        return _FIELDS[kind](subject, {})
    except NoAppError:
        return None


def _is_one(audience: object) -> bool:
    return isinstance(audience, str) or (isinstance(audience, list) and len(audience) == 1)


def _of_spiffe(subject: str, claims: Mapping[str, Any]) -> Mapping[str, str]:
    del subject, claims
    return {}


def _of_kubernetes(subject: str, claims: Mapping[str, Any]) -> Mapping[str, str]:
    match = _SERVICE_ACCOUNT.fullmatch(subject)
    if match is None:
        raise NoAppError("no service account")
    if "kubernetes.io" in claims and _account_of(claims["kubernetes.io"]) != match.groupdict():
        raise NoAppError("another service account in kubernetes.io")
    return match.groupdict()


def _account_of(private: object) -> Mapping[str, object] | None:
    account = private.get("serviceaccount") if isinstance(private, dict) else None
    if not isinstance(private, dict) or not isinstance(account, dict):
        return None
    return {"namespace": private.get("namespace"), "name": account.get("name")}


def _of_oidc(subject: str, claims: Mapping[str, Any]) -> Mapping[str, str]:
    if any(claims.get(name) for name in _OF_PEOPLE):
        raise NoAppError("a person's token")
    clients = {claims[name] for name in ("client_id", "azp") if isinstance(claims.get(name), str)}
    if len(clients) > 1:
        raise NoAppError("two clients")
    return {"claim": subject}


_FIELDS: Final[Mapping[Kind, Callable[[str, Mapping[str, Any]], Mapping[str, str]]]] = {
    "spiffe": _of_spiffe,
    "kubernetes": _of_kubernetes,
    "oidc": _of_oidc,
}
