"""What an operator says of how an issuer's tokens name apps, and the rules for that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from svc_runtime.app_id_template import AppIdTemplate
from svc_runtime.app_naming import TEMPLATE_FIELDS, AppNaming, Kind, covers, fields_of, overlap
from svc_runtime.spiffe_id import SpiffeId

_DEFAULT_CLAIMS: Final[Mapping[Kind, str]] = {
    "spiffe": "sub",
    "kubernetes": "sub",
    "oidc": "client_id",  # RFC 9068, section 2.2
}
_WITHOUT_EFFECT: Final[Mapping[Kind, tuple[str, ...]]] = {
    "spiffe": ("app_id_template", "apps"),
    "kubernetes": ("app_claim",),
    "oidc": ("trust_domain",),
}

_Text = Annotated[str, Field(min_length=1)]


class AppNamingSettings(BaseModel):
    """How tokens of one issuer name apps."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Kind = "spiffe"
    app_claim: _Text | None = None
    """Claim with the subject; by default `sub`, of `oidc` `client_id`."""
    trust_domain: _Text | None = None
    """Of `spiffe`, whose ids the issuer may name; of `kubernetes`, for the usual template."""
    app_id_template: _Text | None = None
    apps: dict[str, str] = Field(default_factory=dict)
    """App ids by subject, of `kubernetes` and `oidc`; they win over the template."""
    app_id_prefixes: tuple[str, ...] = ()
    """What the ids of its apps begin with; by default what follows from the settings above."""
    required_claims: dict[str, str] = Field(default_factory=dict)
    single_audience: bool = False
    """Whether a token for further audiences is refused."""

    @model_validator(mode="after")
    def _names_apps(self) -> Self:
        self.naming()
        return self

    def naming(self) -> AppNaming:
        """Return the rule that follows.

        Raises:
            ValueError: The settings do not fit together. The text names the one to change.
        """
        self._must_fit()
        apps, template = self._parsed_apps(), self._parsed_template()
        _must_be_told_apart(self.kind, template, apps)
        return AppNaming(
            kind=self.kind,
            claim=self.app_claim or _DEFAULT_CLAIMS[self.kind],
            template=template,
            apps=apps,
            scopes=self._scopes(template, apps),
            required_claims=self.required_claims,
            is_single_audience=self.single_audience,
        )

    def _must_fit(self) -> None:
        """Refuse what would have no effect: an operator would believe in it."""
        for name in _WITHOUT_EFFECT[self.kind]:
            if getattr(self, name):
                raise ValueError(f"{name} has no effect with kind {self.kind}")
        if self.kind == "kubernetes" and bool(self.trust_domain) == bool(self.app_id_template):
            raise ValueError("kind kubernetes needs either trust_domain or app_id_template")
        if self.kind == "oidc" and not (self.app_id_template or self.apps):
            raise ValueError("kind oidc needs app_id_template, apps or both")

    def _parsed_apps(self) -> dict[str, SpiffeId]:
        apps = {}
        for subject, app in self.apps.items():
            if fields_of(self.kind, subject) is None:
                raise ValueError("apps: what names an app is no subject of this kind")
            apps[subject] = _parse("apps", app)
        return apps

    def _parsed_template(self) -> AppIdTemplate | None:
        template = self.app_id_template
        if self.kind == "kubernetes" and template is None:
            template = f"{_of_trust_domain(self.trust_domain or '')}ns/{{namespace}}/sa/{{name}}"
        if template is None:
            return None
        try:
            return AppIdTemplate.parse(template, TEMPLATE_FIELDS[self.kind])
        except ValueError as error:
            raise ValueError(f"app_id_template: {error}") from None

    def _scopes(
        self, template: AppIdTemplate | None, apps: Mapping[str, SpiffeId]
    ) -> tuple[str, ...] | None:
        prefixes = self.app_id_prefixes
        for prefix in prefixes:
            if not prefix.endswith("/"):
                raise ValueError("app_id_prefixes: must end in /")
            _parse("app_id_prefixes", f"{prefix}app")
        default: tuple[str, ...] | None
        if self.kind == "spiffe":
            default = None if self.trust_domain is None else (_of_trust_domain(self.trust_domain),)
        else:
            default = (*([template.prefix] if template else []), *map(str, apps.values()))
        if not prefixes or default is None:
            return prefixes or default
        if not overlap(prefixes, default):
            raise ValueError("app_id_prefixes: no app of this issuer begins so")
        if not all(any(covers(prefix, str(app)) for prefix in prefixes) for app in apps.values()):
            raise ValueError("app_id_prefixes: an app of apps begins otherwise")
        return prefixes


def must_not_share_apps(issuers: tuple[AppNamingSettings, ...]) -> None:
    """Keep issuers from naming each other's apps, but for those that are meant to.

    Raises:
        ValueError: They could.
    """
    scopes = [issuer.naming().scopes for issuer in issuers]
    for number, one in enumerate(scopes):
        for other_number, other in enumerate(scopes[:number]):
            if one is None or other is None:
                raise ValueError(
                    "of several issuers each of kind spiffe needs trust_domain or app_id_prefixes"
                )
            is_meant = issuers[number].app_id_prefixes and issuers[other_number].app_id_prefixes
            if overlap(one, other) and not is_meant:
                raise ValueError(
                    "two issuers may name the same app: if that is meant, "
                    "give both their app_id_prefixes"
                )


def _must_be_told_apart(
    kind: Kind, template: AppIdTemplate | None, apps: Mapping[str, SpiffeId]
) -> None:
    """Refuse a table whose apps others could become by the choice of their name."""
    if template is None:
        return
    for subject, app in apps.items():
        values = template.values_of(str(app))
        if values is not None and values != fields_of(kind, subject):
            raise ValueError("apps: app_id_template gives an app of the table to another subject")


def _of_trust_domain(trust_domain: str) -> str:
    if _parse("trust_domain", f"spiffe://{trust_domain}/app").trust_domain != trust_domain:
        raise ValueError("trust_domain: is no name such as example.org")
    return f"spiffe://{trust_domain}/"


def _parse(setting: str, raw: str) -> SpiffeId:
    try:
        return SpiffeId.parse(raw)
    except ValueError as error:
        raise ValueError(f"{setting}: {error}") from None
