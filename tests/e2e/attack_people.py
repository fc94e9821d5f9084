"""Attacks of people: on other people's keys, by teams' and groups' names, and by wide roles."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from functools import partial

import jwt

from keyvault_svc.domain.roles import MAY, Role
from keyvault_svc.rpc.access_policy import ACTIONS
from tests.e2e.attack_apps import BAD_INPUT, ODD_NAMES
from tests.e2e.attack_table import KEY_SERVICE, Attack, Scene, Threat
from tests.e2e.breaking import Verdict
from tests.e2e.clients import Clients
from tests.e2e.owners import Owner, make_team, sign_in
from tests.e2e.people_requests import REQUESTS, Place, call_as

NOT_THE_OWNER: Verdict = ("PERMISSION_DENIED", "NOT_THE_OWNER")
# Whoever may not read a request hears what is heard where there is none.
_WITHOUT_ORACLE: Verdict = ("NOT_FOUND", "GRANT_REQUEST_NOT_FOUND")
_BY_ANY_PERSON = "GetGrantRequest"
_HERE = (KEY_SERVICE,)
_Make = Callable[[Scene], Awaitable[Verdict]]


def _place(scene: Scene) -> Place:
    return Place("users/alice", scene.key.name.rpartition("/")[2])


def _call(method: str, who: Callable[[Scene], Owner], where: Callable[[Scene], Place]) -> _Make:
    def make(scene: Scene) -> Awaitable[Verdict]:
        request = REQUESTS[method.rpartition("/")[2]](where(scene))
        return call_as(who(scene), method, request, request_id=scene.request_id)

    return make


def _refusal(method: str) -> Verdict:
    return _WITHOUT_ORACLE if method.endswith(f"/{_BY_ANY_PERSON}") else NOT_THE_OWNER


def _rows_of_calls() -> list[Attack]:
    """Return every call that a person without, and one with a wide role, must not make."""
    rows = []
    for method, action in ACTIONS.items():
        name = method.rpartition("/")[2]
        may = MAY[action]
        if Role.ANYBODY in may:
            continue
        make = _call(method, lambda scene: scene.bob, _place)
        rows.append(Attack(Threat.OTHER_OWNER, name, make, _refusal(method), _HERE))
        for role in (Role.AUDITOR, Role.OPERATOR):
            if role not in may:
                make = _call(method, _of(role.value), _place)
                row = Attack(
                    Threat.ROLES, f"{name} by an {role.value}", make, _refusal(method), _HERE
                )
                rows.append(row)
    return rows


def _of(role: str) -> Callable[[Scene], Owner]:
    return lambda scene: scene.people[role]


# Groups of somebody who hopes to pass for an admin of the team `{team}`, or for alice.
CONFUSING_GROUPS: dict[str, str] = {
    "a member of the team": "{team}",
    "an admin of the team of its admins": "{team}-admins-admins",
    "the same with a space": "{team}-admins ",
    "a letter that looks alike": "{team}-\u0430dmins",
    "a dash that looks alike": "{team}\u2010admins",
    "an escaped dash": "{team}%2Dadmins",
    "a path": "teams/{team}-admins",
    "a path of the admins": "{team}/admins",
    "two groups in one name": "x,{team}-admins",
    "a pattern": "*-admins",
    "a longer name": "{team}-admins2",
    "an invisible letter": "{team}\u200b-admins",
    "capital letters": "{team}-ADMINS",
}


def _member_of(pattern: str, *, rpc: str) -> _Make:
    """Return an attack on a team by a member of the group that *pattern* names."""

    async def make(scene: Scene) -> Verdict:
        team = f"t-{secrets.token_hex(4)}"
        person = f"p-{secrets.token_hex(4)}"
        group = pattern.format(team=team)
        _make_group(scene.clients, group, person)
        member = sign_in(scene.clients, person)
        claims = jwt.decode(member.token, options={"verify_signature": False})
        assert claims["groups"] == [group]
        return await _call(rpc, lambda _: member, lambda _: Place(f"teams/{team}"))(scene)

    return make


def _make_group(clients: Clients, group: str, person: str) -> None:
    """Make a group of exactly this name: not in a path, which would be unescaped."""
    sign_in(clients, person)
    admin = clients.stack.openbao.client()
    entity = admin.read(f"identity/entity/name/{person}")["data"]["id"]
    admin.write_data("identity/group", data={"name": group, "member_entity_ids": [entity]})


def _named_like(*, person: str, groups: tuple[str, ...], owner: str) -> _Make:
    """Return an attack on *owner* by a person, and a member of groups, of a likely name."""

    async def make(scene: Scene) -> Verdict:
        name = secrets.token_hex(4)
        who, of = person.format(name=name), owner.format(name=name)
        for group in groups:
            make_team(scene.clients, group.format(name=name), who)
        member = sign_in(scene.clients, who)
        return await _call(_CREATE_GRANT, lambda _: member, lambda _: Place(of))(scene)

    return make


_CREATE_KEY = "/keyturn.keyvault.v1.KeyService/CreateKey"
_CREATE_GRANT = "/keyturn.keyvault.v1.GrantService/CreateGrant"


def _rows_of_teams() -> list[Attack]:
    row = partial(Attack, Threat.TEAMS, heard=NOT_THE_OWNER, recorded_by=_HERE)
    rows = [
        row(f"{name} adds a key", _member_of(pattern, rpc=_CREATE_KEY))
        for name, pattern in CONFUSING_GROUPS.items()
    ]
    rows += [
        row(
            "a person called like the team",
            _named_like(person="t{name}", groups=(), owner="teams/t{name}"),
        ),
        row(
            "a person called like its admins",
            _named_like(person="t{name}-admins", groups=(), owner="teams/t{name}"),
        ),
        row(
            "an admin of a team called like a person",
            _named_like(
                person="p{name}", groups=("u{name}", "u{name}-admins"), owner="users/u{name}"
            ),
        ),
        row(
            "an admin of a team called like alice",
            _named_like(person="p{name}", groups=("alice-admins",), owner="users/alice"),
        ),
    ]
    return rows


def _rows_of_names() -> list[Attack]:
    def key_at(name: Callable[[Scene], str], *, rpc: str) -> _Make:
        def make(scene: Scene) -> Awaitable[Verdict]:
            place = _Verbatim(name(scene))
            return _call(rpc, lambda scene: scene.bob, lambda _: place)(scene)

        return make

    rows = []
    for odd, name in {**ODD_NAMES, **_ODD_OWNERS}.items():
        row = partial(Attack, Threat.NAMES, heard=BAD_INPUT, recorded_by=_HERE)
        rows.append(row(f"an owner's key, {odd}", key_at(name, rpc=_GET_KEY)))
        rows.append(row(f"an owner's grant, {odd}", key_at(name, rpc=_REVOKE)))
    return rows


_GET_KEY = "/keyturn.keyvault.v1.KeyService/GetKey"
_REVOKE = "/keyturn.keyvault.v1.GrantService/RevokeGrant"


class _Verbatim(Place):
    """A place whose key is named as it is, right or wrong."""

    @property
    def key(self) -> str:
        return self.owner


def _instead_of_alice(who: str) -> Callable[[Scene], str]:
    return lambda scene: scene.key.name.replace("users/alice", who)


# gRPC's metadata and HTTP's headers carry none of these: what is in a message may be any text.
_ODD_OWNERS: dict[str, Callable[[Scene], str]] = {
    "letter that looks alike": _instead_of_alice("users/\u0430lice"),
    "wide letters": _instead_of_alice("users/\uff41lice"),
    "wide slash": _instead_of_alice("users\uff0falice"),
    "invisible letter": _instead_of_alice("users/alice\u200b"),
    "direction turned round": _instead_of_alice("users/\u202ealice"),
    "null": _instead_of_alice("users/bob\0/../alice"),
    "newline": _instead_of_alice("users/alice\n"),
    "space": _instead_of_alice("users/alice "),
}

ATTACKS = [*_rows_of_calls(), *_rows_of_teams(), *_rows_of_names()]
