"""Options by which commands of `keyturn audit` learn of the deployment whose logs they read."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from keyturn_cli.audit.options import SECOND_US, VerifyOptions
from keyturn_cli.audit.signing_keys import SigningKey, read_signing_keys
from keyturn_cli.audit.windows import parse_window, read_windows
from keyturn_cli.client_settings import ClientSettings

_Command = TypeVar("_Command", bound=Callable[..., Any])
_DEFAULTS: Final = VerifyOptions()
_SECONDS: Final = click.FloatRange(min=0)
# What tells who did what, as every command needs it; and what only a judgement asks for.
_NAMES: Final = {
    "key_service_role": "Vault role and policy of the key service.",
    "gateway_role": "Vault role and policy of the gateway.",
    "kv_mount": "Where keys' records are.",
    "transit_mount": "Where keys are sealed and opened.",
    "transit_key": "What seals and opens keys.",
    "namespace": "Vault's namespace of these mounts.",
}
_JUDGED_NAMES: Final = {
    "maintenance_role": "Vault role and policy of rewrap, remind and coverage.",
    "bootstrap_policy": "Policy of the token for bootstrap.",
    "pki_mount": "Where certificates are issued.",
}


def naming_options(command: _Command) -> _Command:
    """Give *command* the options that tell who did what, as keyword arguments."""
    return _with_options(
        command,
        click.option(
            "--max-lease",
            "lease_seconds",
            type=_SECONDS,
            default=_DEFAULTS.lease_us / SECOND_US,
            show_default=True,
            metavar="SECONDS",
            help="The longest life of a lease.",
        ),
        click.option(
            "--skew",
            "skew_seconds",
            type=_SECONDS,
            default=_DEFAULTS.skew_us / SECOND_US,
            show_default=True,
            metavar="SECONDS",
            help="By how much clocks may differ.",
        ),
        click.option(
            "--login-mount",
            "login_mounts",
            multiple=True,
            default=_DEFAULTS.login_mounts,
            show_default=True,
            metavar="MOUNT",
            help="An auth method by which services log in. Repeatable; all of them.",
        ),
        *(_name_option(name, text) for name, text in _NAMES.items()),
    )


def deployment_options(command: _Command) -> _Command:
    """Give *command* the options of `naming_options`, and those for a judgement."""
    return _with_options(
        naming_options(command),
        click.option(
            "--window",
            "windows",
            multiple=True,
            metavar="FROM/TO",
            help="When administrators were to change things, as "
            "2027-01-31T09:00:00Z/2027-01-31T10:00:00Z. Repeatable.",
        ),
        click.option(
            "--windows",
            "windows_file",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            help="A file of such windows, one a line. Default: KEYTURN_AUDIT_WINDOWS.",
        ),
        click.option(
            "--signing-keys",
            "signing_keys_file",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            help="The services' public keys, as Vault tells them. Default: KEYTURN_SIGNING_KEYS.",
        ),
        click.option(
            "--service-network",
            "service_networks",
            multiple=True,
            metavar="CIDR",
            help="From where the services log in to Vault. Repeatable. Default: anywhere.",
        ),
        click.option(
            "--max-gap",
            "max_gap_seconds",
            type=_SECONDS,
            default=0.0,
            metavar="SECONDS",
            help="The longest silence of Vault's log. Default: any.",
        ),
        click.option(
            "--max-call",
            "call_seconds",
            type=_SECONDS,
            default=_DEFAULTS.call_us / SECOND_US,
            show_default=True,
            metavar="SECONDS",
            help="The longest call of an app: so late its record may come.",
        ),
        *(_name_option(name, text) for name, text in _JUDGED_NAMES.items()),
    )


def names_of(given: Mapping[str, Any]) -> VerifyOptions:
    """Return what *given*, the values of `naming_options` by their names, mean."""
    return VerifyOptions(
        **{name: given[name] for name in _NAMES},
        login_mounts=tuple(mount.strip("/") for mount in given["login_mounts"]),
        lease_us=round(given["lease_seconds"] * SECOND_US),
        skew_us=round(given["skew_seconds"] * SECOND_US),
    )


def verify_options(given: Mapping[str, Any]) -> VerifyOptions:
    """Return what *given*, the values of `deployment_options` by their names, mean.

    Raises:
        click.BadParameter: A value means nothing.
    """
    settings = ClientSettings.load()
    windows = [_parsed("--window", parse_window, typed) for typed in given["windows"]]
    windows_file = windows_file_of(given)
    if windows_file is not None:
        windows += _parsed("--windows", read_windows, windows_file)
    networks = [
        _parsed("--service-network", ipaddress.ip_network, typed)
        for typed in given["service_networks"]
    ]
    keys_file = given["signing_keys_file"] or settings.get("KEYTURN_SIGNING_KEYS")
    signing_keys: tuple[SigningKey, ...] = ()
    if keys_file is not None:
        signing_keys = _parsed("--signing-keys", read_signing_keys, Path(keys_file))
    return replace(
        names_of(given),
        **{name: given[name] for name in _JUDGED_NAMES},
        signing_keys=signing_keys,
        windows=tuple(windows),
        service_networks=tuple(networks),
        max_gap_us=round(given["max_gap_seconds"] * SECOND_US),
        call_us=round(given["call_seconds"] * SECOND_US),
    )


def windows_file_of(given: Mapping[str, Any]) -> Path | None:
    """Return the file of windows that *given* means: the one of the option, or of the settings."""
    file = given["windows_file"] or ClientSettings.load().get("KEYTURN_AUDIT_WINDOWS")
    return None if file is None else Path(file)


def _with_options(command: _Command, *options: Callable[[_Command], _Command]) -> _Command:
    for option in reversed(options):
        command = option(command)
    return command


def _name_option(name: str, text: str) -> Callable[[_Command], _Command]:
    default = getattr(_DEFAULTS, name)
    return click.option(
        f"--{name.replace('_', '-')}", name, default=default, show_default=bool(default), help=text
    )


def _parsed(option: str, parse: Callable[[Any], Any], typed: Any) -> Any:  # noqa: ANN401 - whatever the parser takes and makes
    try:
        return parse(typed)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=option) from error
