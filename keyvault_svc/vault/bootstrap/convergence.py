"""The comparison that most steps share: wanted fields against those that Vault holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final, Literal

from keyvault_svc.vault.bootstrap.errors import SetupConflictError
from keyvault_svc.vault.bootstrap.step import Finding, Step, StepOutcome
from keyvault_svc.vault.bootstrap.vault_admin import VaultAdmin

RIGHT: Final = Finding(StepOutcome.OK)
_SHOWN_CHARACTERS: Final = 60  # of a value: enough for a name or a time, not for a certificate


def converge_fields(vault: VaultAdmin, path: str, wanted: Mapping[str, object]) -> Finding:
    """Make the object at *path* hold the *wanted* fields, and write only if it does not.

    Fields that *wanted* does not name belong to the operator and are not compared.
    """
    current = vault.read(path)
    if current is None:
        vault.write(path, wanted)
        return Finding(StepOutcome.CREATED)
    differing = differing_fields(current, wanted)
    if not differing:
        return RIGHT
    vault.write(path, wanted)
    return Finding(StepOutcome.CHANGED, difference(current, wanted))


def differing_fields(current: Mapping[str, object], wanted: Mapping[str, object]) -> list[str]:
    """Return the names of the *wanted* fields that *current* does not hold, in order."""
    return [
        name
        for name, value in wanted.items()
        if _comparable(current.get(name), like=value) != _comparable(value, like=value)
    ]


def difference(current: Mapping[str, object], wanted: Mapping[str, object]) -> str:
    """Say for each differing field what it is and what it is to be. Nothing here is secret."""
    return "; ".join(
        f"{name} is {_shown(current.get(name))}, not {_shown(wanted[name])}"
        for name in differing_fields(current, wanted)
    )


def _shown(value: object) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."


def _comparable(value: object, *, like: object) -> object:
    # Vault's lists here are sets: their order means nothing, and an empty one may read as null.
    if isinstance(like, list):
        return sorted(value) if isinstance(value, list) else value or []
    # It keeps a text's last newline here, and drops it there; an older server lacks a new field.
    if isinstance(like, str):
        return value.strip() if isinstance(value, str) else value or ""
    return value


def fields_step(name: str, path: str, wanted: Mapping[str, object]) -> Step:
    """Return a step that keeps the *wanted* fields at *path*."""
    return Step(name, lambda vault: converge_fields(vault, path, wanted))


def mount_step(
    table: Literal["sys/mounts", "sys/auth"],
    mount: str,
    engine: str,
    *,
    version: str | None = None,
    max_lease_seconds: int | None = None,
) -> Step:
    """Return a step that keeps an *engine* mounted.

    Args:
        table: Secret engines or auth methods.
        mount: Where, without slashes.
        engine: Type of the engine.
        version: For KV, which version of the engine.
        max_lease_seconds: Longest life of what the engine issues; `None` leaves it alone.
    """

    def converge(vault: VaultAdmin) -> Finding:
        mounts = vault.read(table) or {}
        current = mounts.get(f"{mount}/")
        limits = {} if max_lease_seconds is None else {"max_lease_ttl": max_lease_seconds}
        options = {} if version is None else {"version": version}
        if current is None:
            vault.write(f"{table}/{mount}", {"type": engine, "options": options, "config": limits})
            return Finding(StepOutcome.CREATED)
        if current["type"] != engine or differing_fields(current["options"] or {}, options):
            raise SetupConflictError(
                f"{mount}/ is mounted, but is no {engine} engine of the wanted version.",
                "Find out who uses it; move or disable it, then run the bootstrap again.",
            )
        if not differing_fields(current["config"], limits):
            return RIGHT
        vault.write(f"{table}/{mount}/tune", limits)
        return Finding(StepOutcome.CHANGED, difference(current["config"], limits))

    return Step(f"{'auth method' if table == 'sys/auth' else 'mount'} {mount}/", converge)
