"""Settings that both services have: one TOML file, overridden by the environment, all checked.

Secrets are never settings: a setting names the file that holds one.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings import SettingsError as SourceError

from svc_runtime.app_naming_settings import AppNamingSettings, must_not_share_apps

Address = Annotated[str, Field(pattern=r"^[^\s:]*:[0-9]{1,5}$|^\[[0-9a-f:]+\]:[0-9]{1,5}$")]
"""`host:port` to listen on; port 0 takes a free one."""

HTTPSURL = Annotated[str, Field(pattern=r"^https://[^\s/?#]+[^\s?#]*$")]


class SettingsError(Exception):
    """The settings cannot be used. The text names each offending setting and its rule."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TLSSettings(_Model):
    """Certificate of this service, and the CA that its callers and peers are checked against."""

    certificate: Path
    key: Path
    ca: Path


class AppRoleSettings(_Model):
    """Login by AppRole. Both files are read anew at each login."""

    mount: str = "keyturn-approle"
    role_id_file: Path
    secret_id_file: Path


class KubernetesLoginSettings(_Model):
    """Login by a service account's token, which Kubernetes puts into the file and replaces."""

    mount: str = "keyturn-kubernetes"
    role: str
    token_file: Path = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")


class CertificateLoginSettings(_Model):
    """Login by a TLS client certificate. Both files are read anew at each login."""

    mount: str = "keyturn-cert"
    role: str
    certificate: Path
    key: Path


class JWTLoginSettings(_Model):
    """Login by a JWT. The file is read anew at each login."""

    mount: str = "keyturn-jwt"
    role: str
    token_file: Path


class TokenFileSettings(_Model):
    """Use of a token that somebody else renews, such as a Vault agent."""

    file: Path


class VaultLoginSettings(_Model):
    """How to log in to Vault: exactly one of these."""

    approle: AppRoleSettings | None = None
    kubernetes: KubernetesLoginSettings | None = None
    certificate: CertificateLoginSettings | None = None
    jwt: JWTLoginSettings | None = None
    token: TokenFileSettings | None = None

    @model_validator(mode="after")
    def _has_one_login(self) -> Self:
        logins = VaultLoginSettings.model_fields
        given = [name for name in logins if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"exactly one of the tables {', '.join(logins)} must be given; "
                f"given: {', '.join(given) or 'none'}"
            )
        return self


class VaultSettings(VaultLoginSettings):
    """Where Vault is, and how this service logs in."""

    address: HTTPSURL
    standby_addresses: tuple[HTTPSURL, ...] = ()
    """More nodes of the same cluster, to turn to when the first fails."""
    ca_file: Path | None = None
    namespace: str | None = None
    request_timeout_seconds: Annotated[float, Field(gt=0, le=60)] = 5.0
    max_connections: Annotated[int, Field(ge=1, le=1000)] = 100


class IssuerSettings(_Model):
    """One issuer of tokens."""

    issuer: HTTPSURL
    audience: Annotated[str, Field(min_length=1)]
    jwks_url: HTTPSURL
    ca_file: Path | None = None
    max_token_lifetime_seconds: Annotated[int, Field(ge=60, le=366 * 86400)] = 86400
    """Tokens for a longer time, from `iat` to `exp`, are refused."""


class AppIssuerSettings(IssuerSettings, AppNamingSettings):
    """One issuer of tokens for apps, and how its tokens name them."""


def _distinct(issuers: tuple[AppIssuerSettings, ...]) -> tuple[AppIssuerSettings, ...]:
    if len({issuer.issuer for issuer in issuers}) != len(issuers):
        raise ValueError("an issuer must stand there once")
    must_not_share_apps(issuers)
    return issuers


AppIssuers = Annotated[tuple[AppIssuerSettings, ...], AfterValidator(_distinct)]


class ServiceSettings(BaseSettings):
    """Base of each service's settings.

    A subclass sets `env_prefix` in its `model_config`; a nested setting is overridden by, for
    example, `KEYVAULT_SVC_VAULT__ADDRESS`.
    """

    model_config = SettingsConfigDict(extra="forbid", frozen=True, env_nested_delimiter="__")

    log_level: Literal["debug", "info", "warning"] = "info"
    """What is less is not logged, except events that are evidence."""
    certificate_wait_seconds: Annotated[float, Field(ge=0, le=600)] = 0
    """How long the process waits at its start for files of the certificate that it cannot use."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment win over the file, and read nothing else."""
        del settings_cls, dotenv_settings, file_secret_settings
        return env_settings, init_settings

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the TOML file at *path*; environment variables win over it.

        Raises:
            SettingsError: The file cannot be read, or a setting is unknown or breaks its rule.
        """
        try:
            return cls(**tomllib.loads(path.read_text(encoding="utf-8")))
        except ValidationError as error:
            # Without the input: an operator may have put a secret where none belongs.
            problems = [
                f"{'.'.join(str(part) for part in e['loc']) or 'settings'}: {e['msg']}"
                for e in error.errors(include_input=False, include_url=False)
            ]
        except SourceError as error:
            problems = [f"environment: {error}"]  # it names the setting, and does not repeat it
        except OSError as error:
            problems = [f"{path}: {error.strerror}"]
        except (tomllib.TOMLDecodeError, UnicodeDecodeError):
            problems = [f"{path}: is not a TOML file"]
        raise SettingsError("; ".join(problems))
