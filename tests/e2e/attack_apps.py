"""Attacks of apps: other apps' grants, certificates that others put into headers, odd names."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from keyturn_cli.local.layout import DEMO_APP
from tests.e2e.attack_table import BOTH, GATEWAY, Attack, Scene, Threat, chat, chat_over_http
from tests.e2e.breaking import Verdict
from tests.e2e.identities import UNVERIFIED_HTTP, pair_of

NOT_GRANTED: Verdict = ("PERMISSION_DENIED", "NOT_GRANTED")
NOT_GRANTED_HTTP: Verdict = (403, "NOT_GRANTED")
BAD_INPUT: Verdict = ("INVALID_ARGUMENT", "INVALID_ARGUMENT")
BAD_INPUT_HTTP: Verdict = (400, "INVALID_ARGUMENT")


def forwarded_headers(scene: Scene) -> dict[str, str]:
    """Return what proxies write about a client's certificate: here, that it is the demo app's."""
    certificate = pair_of(scene.clients, "app-demo").certificate.decode().replace("\n", "%0A")
    return {
        "forwarded": f'for=127.0.0.1;by="{DEMO_APP}"',
        "ssl-client-cert": certificate,
        "x-amzn-mtls-clientcert": certificate,
        "x-arr-clientcert": certificate,
        "x-client-cert": certificate,
        "x-forwarded-client-cert": f'By={DEMO_APP};Cert="{certificate}";URI={DEMO_APP}',
        "x-forwarded-user": DEMO_APP,
        "x-spiffe-id": DEMO_APP,
        "x-ssl-client-cert": certificate,
        "x-ssl-client-s-dn": f"CN={DEMO_APP}",
        "x-ssl-client-verify": "SUCCESS",
    }


def _odd(change: Callable[[str], str]) -> Callable[[Scene], str]:
    return lambda scene: change(scene.key.name)


# What somebody hopes to be read as the name of alice's key.
ODD_NAMES: dict[str, Callable[[Scene], str]] = {
    "escaped slash": _odd(lambda name: name.replace("users/", "users%2F")),
    "escaped letter": _odd(lambda name: name.replace("alice", "%61lice")),
    "escaped twice": _odd(lambda name: name.replace("alice", "%2561lice")),
    "up and down": _odd(lambda name: name.replace("users/", "users/bob/../")),
    "up by escapes": _odd(lambda name: name.replace("users/", "users/bob/%2e%2e/")),
    "here": _odd(lambda name: name.replace("/keys/", "/keys/./")),
    "empty segment": _odd(lambda name: name.replace("/keys/", "//keys/")),
    "backslash": _odd(lambda name: name.replace("/keys/", "\\keys\\")),
    "capital letter": _odd(lambda name: name.replace("alice", "Alice")),
    "capital collection": _odd(lambda name: name.replace("users", "Users")),
    "query": _odd(lambda name: f"{name}?version=1"),
    "fragment": _odd(lambda name: f"{name}#1"),
    "metadata of KV": _odd(lambda name: f"../metadata/{name}"),
    "two names": _odd(lambda name: f"{name},{name}"),
    "long": _odd(lambda name: name + "a" * 4000),
}


def _app_rows() -> list[Attack]:
    row = partial(Attack, Threat.OTHER_APP)

    async def foreign_name(scene: Scene) -> Verdict:
        return await chat(scene, key="users/bob/keys/openai")

    return [
        row("over gRPC", lambda s: chat(s, app="other"), NOT_GRANTED, BOTH),
        row("over HTTP", lambda s: chat_over_http(s, app="other"), NOT_GRANTED_HTTP, BOTH),
        row("a key that it was never granted", foreign_name, NOT_GRANTED, BOTH),
        row(
            "another app's token beside the own certificate",
            lambda s: chat(
                s, ("authorization", f"Bearer {s.clients.env['KEYTURN_APP_TOKEN']}"), app="other"
            ),
            ("UNAUTHENTICATED", "APP_PROOF_INVALID"),
            BOTH,
        ),
        row(
            "another app's token beside the own certificate over HTTP",
            lambda s: chat_over_http(s, app="other", token=s.clients.env["KEYTURN_APP_TOKEN"]),
            UNVERIFIED_HTTP,
            (GATEWAY,),
        ),
    ]


def _forwarded_rows() -> list[Attack]:
    row = partial(Attack, Threat.FORWARDED)
    return [
        row(
            "without a certificate of one's own",
            lambda s: chat_over_http(s, forwarded_headers(s)),
            UNVERIFIED_HTTP,
            (GATEWAY,),
        ),
        row(
            "beside another app's certificate",
            lambda s: chat_over_http(s, forwarded_headers(s), app="other"),
            NOT_GRANTED_HTTP,
            BOTH,
        ),
        row(
            "beside another app's certificate over gRPC",
            lambda s: chat(s, *forwarded_headers(s).items(), app="other"),
            NOT_GRANTED,
            BOTH,
        ),
    ]


def _name_rows() -> list[Attack]:
    def over_grpc(name: Callable[[Scene], str]) -> Callable[[Scene], Awaitable[Verdict]]:
        return lambda scene: chat(scene, key=name(scene))

    def over_http(name: Callable[[Scene], str]) -> Callable[[Scene], Awaitable[Verdict]]:
        return lambda scene: chat_over_http(scene, key=name(scene), app="demo")

    rows = []
    for odd, name in ODD_NAMES.items():
        row = partial(Attack, Threat.NAMES)
        rows.append(row(f"a key over gRPC, {odd}", over_grpc(name), BAD_INPUT, (GATEWAY,)))
        rows.append(row(f"a key over HTTP, {odd}", over_http(name), BAD_INPUT_HTTP, (GATEWAY,)))
    return rows


ATTACKS = [*_app_rows(), *_forwarded_rows(), *_name_rows()]
