"""What an operation is to Keyturn: who does it, and to what."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, auto
from typing import Final

from keyturn_cli.audit.entries import VaultEntry
from keyturn_cli.audit.options import VerifyOptions

ROOT_POLICY: Final = "root"
CONTROLS: Final = "operator/controls"
VERIFICATIONS: Final = "verifications/"
_OWNERS: Final = ("users/", "teams/")


class Who(IntEnum):
    """Who does something."""

    KEY_SERVICE = auto()
    GATEWAY = auto()
    MAINTENANCE = auto()
    ROOT = auto()
    BOOTSTRAP = auto()
    OTHER = auto()


SERVICES: Final = frozenset({Who.KEY_SERVICE, Who.GATEWAY, Who.MAINTENANCE})


class Area(IntEnum):
    """What something is done to."""

    RECORD = auto()
    CONTROLS = auto()
    NOTES = auto()
    KV_CONFIG = auto()
    TRANSIT = auto()
    WRAPPING = auto()
    ELSEWHERE = auto()


@dataclass(frozen=True, slots=True)
class Act:
    """An operation in Keyturn's terms.

    Attributes:
        verb: The part of the path that says what is done: `data`, `metadata`, `decrypt`, `unwrap`.
        name: What follows it: a record's or a transit key's name.
        path: The whole path, without the deployment's namespace or one above it.
    """

    who: Who
    area: Area
    verb: str
    name: str
    path: str


class Deployment:
    """Tells by the options which mounts and roles are Keyturn's."""

    def __init__(self, options: VerifyOptions) -> None:
        self.options = options
        parts = [part for part in options.namespace.split("/") if part]
        self._namespace = "".join(f"{part}/" for part in parts)
        # Who administers a namespace above gives rights in this one, too.
        self._above = tuple(
            "".join(f"{part}/" for part in parts[:count]) for count in range(len(parts) - 1, 0, -1)
        )
        # A token of a login is named after its mount; one that a token made, `token` or `token-`.
        names = (f"{mount.strip('/').replace('/', '-')}-" for mount in options.login_mounts)
        self._login_names = tuple(names)
        self._services = {
            options.key_service_role: Who.KEY_SERVICE,
            options.gateway_role: Who.GATEWAY,
            options.maintenance_role: Who.MAINTENANCE,
        }
        self._kv = f"{options.kv_mount.strip('/')}/"
        self._transit = f"{options.transit_mount.strip('/')}/"

    @property
    def service_policies(self) -> frozenset[str]:
        """The policies of the services, each called like its role."""
        return frozenset(self._services)

    def act(self, entry: VaultEntry) -> Act:
        """Return what *entry* is."""
        who, path = self.who(entry), entry.path
        if not path.startswith(self._namespace):
            above = next((name for name in self._above if path.startswith(name)), "")
            return Act(who, Area.ELSEWHERE, "", "", path.removeprefix(above))
        path = path.removeprefix(self._namespace)
        if path.startswith(self._kv):
            verb, _, name = path.removeprefix(self._kv).partition("/")
            return Act(who, _kv_area(verb, name), verb, name, path)
        if path.startswith(self._transit):
            verb, _, name = path.removeprefix(self._transit).partition("/")
            return Act(who, Area.TRANSIT, verb, name, path)
        if path.startswith("sys/wrapping/"):
            return Act(who, Area.WRAPPING, path.removeprefix("sys/wrapping/"), "", path)
        if path == "cubbyhole/response":  # how a wrapped answer was taken before there was unwrap
            return Act(who, Area.WRAPPING, "unwrap", "", path)
        return Act(who, Area.ELSEWHERE, "", "", path)

    def who(self, entry: VaultEntry) -> Who:
        """Return who *entry* is of.

        A service has its role and the policy of that name, by one of the services' logins: whoever
        makes a token may give it any metadata, a service's role too.
        """
        service = self._services.get(entry.role)
        is_of_login = f"{entry.display_name}-".startswith(self._login_names)
        if service is not None and entry.role in entry.policies and is_of_login:
            return service
        if ROOT_POLICY in entry.policies:
            return Who.ROOT
        if self.options.bootstrap_policy in entry.policies:
            return Who.BOOTSTRAP
        return Who.OTHER


def _kv_area(verb: str, name: str) -> Area:
    if verb == "config" or not verb:
        return Area.KV_CONFIG
    if name.startswith(_OWNERS) or name in {"", "users", "teams"}:
        return Area.RECORD
    return Area.CONTROLS if name.startswith(CONTROLS) else Area.NOTES
