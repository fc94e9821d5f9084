"""Generic reads and writes with the administrator's token; the only handler of hvac's errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, cast

import hvac
from hvac import exceptions

from keyvault_svc.vault.bootstrap.errors import (
    MountUpgradingError,
    VaultAwayError,
    VaultRequestError,
)

# Root-protected endpoints that the steps use ("sudo" in Vault's ACL, docs "Policies").
_SUDO_PREFIXES: Final = ("sys/audit", "sys/auth/", "sys/config/auditing/")
# What the KV engine answers with status 400 while a new mount becomes version 2.
_UPGRADING: Final = "Upgrading from non-versioned"
# What a node answers with status 500 while it knows of no leader.
_NO_LEADER: Final = "local node not active but active cluster node not found"


class VaultAdmin:
    """Vault as the steps see it: paths without `/v1/`, plain mappings, typed errors.

    In a dry run `write` sends nothing, so no step can change anything.
    """

    def __init__(self, client: hvac.Client, *, dry_run: bool) -> None:
        self._client = client
        self.dry_run = dry_run

    def read(self, path: str) -> dict[str, Any] | None:
        """Return the data at *path*, or `None` when nothing is there or nothing is mounted.

        Raises:
            VaultRequestError: Vault refused, or could not be asked.
        """
        answer = self._ask(lambda: self._client.read(path), '"read"', path)
        return None if answer is None else _data(answer)

    def list_keys(self, path: str) -> list[str]:
        """Return the names below *path*; none when nothing is there.

        Raises:
            VaultRequestError: Vault refused, or could not be asked.
        """
        answer = self._ask(lambda: self._client.list(path), '"list"', path)
        return [] if answer is None else cast("list[str]", _data(answer)["keys"])

    def write(self, path: str, data: Mapping[str, object]) -> None:
        """Send *data* to *path*, except in a dry run. The answer is dropped.

        Raises:
            VaultRequestError: Vault refused, or could not be asked.
        """
        if not self.dry_run:
            self._ask(
                lambda: self._client.write_data(path, data=dict(data)), '"create", "update"', path
            )

    def _ask(self, request: Callable[[], Any], capabilities: str, path: str) -> Any:  # noqa: ANN401 - JSON
        # Raised after the except block: hvac's errors hold the response body, and
        # `from None` inside it would keep them in `__context__`.
        try:
            return request()
        except (exceptions.VaultError, OSError) as error:
            failure = _describe(error, capabilities, path)
        raise failure


def _data(answer: object) -> dict[str, Any]:
    if not isinstance(answer, dict) or not isinstance(answer.get("data"), dict):
        raise VaultRequestError(
            "What answers is not Vault.", "Check the address, and any proxy on the way to it."
        )
    return cast("dict[str, Any]", answer["data"])


def _describe(error: Exception, capabilities: str, path: str) -> VaultRequestError:
    match error:
        case exceptions.Forbidden() | exceptions.Unauthorized():
            sudo = ', "sudo"' if path.startswith(_SUDO_PREFIXES) else ""
            return VaultRequestError(
                f"Vault denies the token {capabilities} on {path}.",
                "Use a valid token whose policy has: "
                f'path "{path}" {{ capabilities = [{capabilities}{sudo}] }}',
            )
        case exceptions.VaultDown() | exceptions.VaultNotInitialized():
            return VaultAwayError(
                "Vault is sealed, not initialised or in standby.",
                "Initialise and unseal it, or name the address of the active node.",
            )
        case exceptions.InvalidRequest() if _UPGRADING in str(error):
            return MountUpgradingError(
                f"The mount of {path} is still being prepared.", "Run the bootstrap again."
            )
        case exceptions.InternalServerError() if _NO_LEADER in str(error):
            return VaultAwayError(
                "Vault has no leader.", "See that enough nodes of the cluster run and are unsealed."
            )
        case exceptions.VaultError():
            return VaultRequestError(
                f"Vault refuses the request {capabilities} on {path} as invalid, or failed at it.",
                "Look for this path in the server's own log and audit log.",
            )
        case _:  # requests' errors are OSErrors: connection refused, timeout, untrusted certificate
            return VaultAwayError(
                "Vault cannot be reached over a trusted connection.",
                "Check its address, that it runs, and the CA file that its certificate needs.",
            )
