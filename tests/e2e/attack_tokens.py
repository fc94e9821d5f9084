"""Attacks with tokens: forged ones, those for others, and what libraries mistake for a proof."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from keyturn.keyvault.v1 import key_service_pb2 as keys_pb
from tests.e2e.attack_apps import BAD_INPUT
from tests.e2e.attack_table import (
    BOTH,
    GATEWAY,
    KEY_SERVICE,
    Attack,
    Scene,
    Threat,
    chat,
    chat_over_http,
)
from tests.e2e.breaking import Verdict
from tests.e2e.forgeries import CONFUSED, FORGED, UNSIGNED, forge
from tests.e2e.identities import PROOF_INVALID, UNVERIFIED, UNVERIFIED_HTTP
from tests.e2e.owners import Owner
from tests.e2e.people_requests import call_as

NOT_PRESENT: Verdict = ("PERMISSION_DENIED", "OWNER_NOT_PRESENT")
_GET_KEY = "/keyturn.keyvault.v1.KeyService/GetKey"
_APP, _OWNER = "KEYTURN_APP_TOKEN", "KEYTURN_OWNER_TOKEN"
_TokenOf = Callable[[Scene], str]
_Make = Callable[[Scene], Awaitable[Verdict]]


def _as_app(token: _TokenOf) -> _Make:
    return lambda scene: chat_over_http(scene, token=token(scene))


def _as_owner(token: _TokenOf) -> _Make:
    def make(scene: Scene) -> Awaitable[Verdict]:
        owner = Owner(scene.clients, token(scene))
        request = keys_pb.GetKeyRequest(name=scene.key.name)
        return call_as(owner, _GET_KEY, request, request_id=scene.request_id)

    return make


def _beside_certificate(token: _TokenOf) -> _Make:
    return lambda scene: chat(scene, ("authorization", f"Bearer {token(scene)}"))


def _as_presence(token: _TokenOf) -> _Make:
    return lambda scene: chat(
        scene, ("x-keyturn-owner-token", token(scene)), key=scene.present.name
    )


def _own(variable: str) -> _TokenOf:
    return lambda scene: scene.clients.env[variable]


def _forged(variable: str, forgery: str) -> _TokenOf:
    return lambda scene: forge(scene.clients, scene.clients.env[variable], forgery)


def _forged_rows() -> list[Attack]:
    rows = []
    for threat, forgeries in (
        (Threat.FORGED, FORGED),
        (Threat.UNSIGNED, UNSIGNED),
        (Threat.CONFUSED_KEY, CONFUSED),
    ):
        for forgery in forgeries:
            row = partial(Attack, threat)
            of_app, of_owner = _forged(_APP, forgery), _forged(_OWNER, forgery)
            rows += [
                row(f"as an app, {forgery}", _as_app(of_app), UNVERIFIED_HTTP, (GATEWAY,)),
                row(f"as an owner, {forgery}", _as_owner(of_owner), UNVERIFIED, (KEY_SERVICE,)),
                row(f"as proof, {forgery}", _beside_certificate(of_app), PROOF_INVALID, BOTH),
            ]
            # What has no signature at all is no token, which the gateway already sees.
            is_token = forgery not in UNSIGNED or "old signature" in forgery
            heard, where = (NOT_PRESENT, BOTH) if is_token else (BAD_INPUT, (GATEWAY,))
            rows.append(row(f"as presence, {forgery}", _as_presence(of_owner), heard, where))
    return rows


def _audience_rows() -> list[Attack]:
    row = partial(Attack, Threat.AUDIENCE)
    app, owner = _own(_APP), _own(_OWNER)
    return [
        row("an owner's as an app's", _as_app(owner), UNVERIFIED_HTTP, (GATEWAY,)),
        row("an app's as an owner's", _as_owner(app), UNVERIFIED, (KEY_SERVICE,)),
        row("an owner's as an app's proof", _beside_certificate(owner), PROOF_INVALID, BOTH),
        row("an app's as an owner's presence", _as_presence(app), NOT_PRESENT, BOTH),
        row(
            "of somebody else as presence",
            _as_presence(lambda scene: scene.bob.token),
            NOT_PRESENT,
            BOTH,
        ),
    ]


ATTACKS = [*_forged_rows(), *_audience_rows()]
