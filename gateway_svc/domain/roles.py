"""What the access table knows callers as."""

from __future__ import annotations

from typing import Final

from svc_runtime.service_error import CallerUnverifiedError
from svc_runtime.spiffe_id import SpiffeId

APP: Final = "app"


class AppIds:
    """Which SPIFFE ids are apps."""

    def __init__(self, prefix: str) -> None:
        """Take the ids below *prefix*, such as `spiffe://example.org/app/`, for apps."""
        if not prefix.endswith("/") or not _is_spiffe_id(f"{prefix}app"):
            raise ValueError("app_id_prefix must be spiffe://<trust domain>/<path>/")
        self._prefix = prefix

    def roles_of(self, spiffe_id: SpiffeId) -> frozenset[str]:
        """Return the roles of *spiffe_id*; none when it is no app."""
        return frozenset({APP}) if str(spiffe_id).startswith(self._prefix) else frozenset()

    def must_be_app(self, spiffe_id: SpiffeId) -> SpiffeId:
        """Return *spiffe_id* if it is an app.

        Raises:
            CallerUnverifiedError: It is not.
        """
        if not self.roles_of(spiffe_id):
            raise CallerUnverifiedError
        return spiffe_id


def _is_spiffe_id(raw: str) -> bool:
    try:
        SpiffeId.parse(raw)
    except ValueError:
        return False
    return True
