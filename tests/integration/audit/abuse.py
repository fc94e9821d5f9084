"""What thieves and careless administrators do to a real Vault after a day."""

from __future__ import annotations

import base64
import contextlib
import secrets
from collections.abc import Callable
from typing import Any, Final

import hvac
import requests

from keyturn_cli.local.layout import DEMO_APP
from tests.integration.audit.thief import Thief, new_lease

_DECRYPT: Final = "keyturn-transit/decrypt/openai"
_CONTROLS: Final = "keyturn-kv/data/operator/controls"
_GATEWAY_POLICY: Final = "sys/policies/acl/gateway-svc"


def write(path: str, **data: Any) -> Callable[[Thief], object]:  # noqa: ANN401 - JSON
    return lambda thief: thief.root.write_data(path, data=data)


def replay(thief: Thief) -> None:
    """Be both services, and open one lease twice."""
    lease = new_lease()
    reader = thief.labelled(thief.log_in("keyvault-svc"), lease)
    opener = thief.log_in("gateway-svc")
    opener.session.headers.update(reader.session.headers)
    reader.read(_CONTROLS)
    sealed = thief.record(reader)["current"]["sealed_key"]
    thief.decrypt(opener, sealed)
    thief.decrypt(opener, sealed)


def open_with_a_made_up_lease(thief: Thief) -> None:
    sealed = thief.stolen()
    thief.decrypt(thief.labelled(thief.log_in("gateway-svc"), new_lease()), sealed)


def skip_the_controls(thief: Thief) -> None:
    lease = new_lease()
    reader = thief.labelled(thief.log_in("keyvault-svc"), lease)
    opener = thief.log_in("gateway-svc")
    opener.session.headers.update(reader.session.headers)
    thief.decrypt(opener, thief.record(reader)["current"]["sealed_key"])


def steal_a_wrapped_key(thief: Thief) -> None:
    wrapper = thief.labelled(thief.log_in("keyvault-svc"), new_lease())
    wrapped = wrapper.adapter.post(
        "/v1/sys/wrapping/wrap", json={"sealed_key": thief.stolen()}, wrap_ttl="20s"
    )
    token = wrapped["wrap_info"]["token"]
    thief.with_token(token).write_data("sys/wrapping/unwrap", data={})
    gateway = thief.log_in("gateway-svc")
    gateway.session.headers.update(wrapper.session.headers)
    with contextlib.suppress(hvac.exceptions.InvalidRequest):
        gateway.write_data("sys/wrapping/lookup", data={"token": token})


def steal_a_wrapped_key_with_another_token(thief: Thief) -> None:
    wrapper = thief.labelled(thief.log_in("keyvault-svc"), new_lease())
    wrapped = wrapper.adapter.post(
        "/v1/sys/wrapping/wrap", json={"sealed_key": thief.stolen()}, wrap_ttl="20s"
    )
    other = thief.token_of("default")
    other.write_data("sys/wrapping/unwrap", data={"token": wrapped["wrap_info"]["token"]})


def batch_with_a_wide_policy(thief: Thief) -> None:
    sealed = thief.stolen()
    policy = thief.root.read(_GATEWAY_POLICY)["data"]["policy"]
    wide = f'path "{_DECRYPT}" {{ capabilities = ["update"] }}'
    thief.root.write_data(_GATEWAY_POLICY, data={"policy": wide})
    thief.decrypt(thief.log_in("gateway-svc"), sealed, batch=True)
    thief.root.write_data(_GATEWAY_POLICY, data={"policy": policy})


def let_the_gateway_read(thief: Thief) -> None:
    with thief.wide_gateway("keyturn-kv/*", "read") as gateway:
        thief.record(gateway)


def let_the_gateway_issue_certificates(thief: Thief) -> None:
    with thief.wide_gateway("keyturn-pki/*", "update") as gateway:
        gateway.write_data("keyturn-pki/issue/app", data={"uri_sans": DEMO_APP, "ttl": "1m"})


def log_in_as_the_gateway_another_way(thief: Thief) -> None:
    name, password = f"u{secrets.token_hex(4)}", secrets.token_urlsafe(16)
    user = {"password": password, "token_policies": ["gateway-svc"]}
    thief.root.write_data(f"auth/keyturn-people/users/{name}", data=user)
    thief.with_token("").write_data(
        f"auth/keyturn-people/login/{name}", data={"password": password}
    )


def give_the_gateways_entity_more(thief: Thief) -> None:
    gateway = thief.log_in("gateway-svc")
    entity = gateway.read("auth/token/lookup-self")["data"]["entity_id"]
    path = f"identity/entity/id/{entity}"
    thief.root.write_data(path, data={"policies": ["keyvault-svc"]})
    gateway.read("auth/token/lookup-self")
    thief.root.write_data(path, data={"policies": []})


def read_a_record_wrapped(thief: Thief) -> None:
    """Have Vault hide from the log that a record was in the answer."""
    reader = thief.labelled(thief.log_in("keyvault-svc"), new_lease())
    reader.adapter.get(f"/v1/{thief.record_path}", wrap_ttl="20s")


def take_a_token_for_the_gateways(thief: Thief) -> None:
    """Make a token that says of itself what the gateway's says, and hide that in the log."""
    sealed = thief.stolen()
    data = {
        "policies": ["gateway-svc"],
        "no_default_policy": True,
        "meta": {"role_name": "gateway-svc"},
        "display_name": "keyturn-approle",
    }
    made = thief.root.adapter.post("/v1/auth/token/create", json=data, wrap_ttl="20s")
    token = made["wrap_info"]["token"]
    taken = thief.with_token(token).write_data("sys/wrapping/unwrap", data={})
    thief.decrypt(thief.with_token(taken["auth"]["client_token"]), sealed)


def log_in_wrapped(thief: Thief) -> None:
    home = thief.home
    data = {
        "role_id": (home / "gateway-svc.role-id").read_text(),
        "secret_id": (home / "gateway-svc.secret-id").read_text(),
    }
    login = thief.with_token("").adapter
    login.post("/v1/auth/keyturn-approle/login", json=data, wrap_ttl="20s")


def export_the_transit_key(thief: Thief) -> None:
    thief.root.write_data("keyturn-transit/keys/openai/config", data={"exportable": True})
    thief.root.read("keyturn-transit/export/encryption-key/openai")


def back_up_the_transit_key(thief: Thief) -> None:
    config = {"exportable": True, "allow_plaintext_backup": True}
    thief.root.write_data("keyturn-transit/keys/openai/config", data=config)
    thief.root.read("keyturn-transit/backup/openai")


def hide_a_header(thief: Thief) -> None:
    path = "sys/config/auditing/request-headers/X-Keyturn-Lease"
    sealed = thief.stolen()
    thief.root.delete(path)
    thief.decrypt(thief.labelled(thief.log_in("gateway-svc"), new_lease()), sealed)
    thief.root.write_data(path, data={"hmac": False})


def make_a_secret_id(thief: Thief) -> None:
    thief.root.write_data("auth/keyturn-approle/role/gateway-svc/secret-id", data={})


def snapshot(thief: Thief) -> None:
    answer: requests.Response = thief.root.adapter.get("/v1/sys/storage/raft/snapshot")
    answer.close()


def bootstrap_again(thief: Thief) -> None:
    policy = 'path "sys/policies/acl/*" { capabilities = ["read", "update"] }'
    thief.root.write_data("sys/policies/acl/keyturn-bootstrap", data={"policy": policy})
    bootstrapping = thief.token_of("keyturn-bootstrap")
    bootstrapping.write_data("sys/policies/acl/keyturn-app", data={"policy": policy})


def try_to_read_as_the_gateway(thief: Thief) -> None:
    with contextlib.suppress(hvac.exceptions.Forbidden):
        thief.log_in("gateway-svc").read(thief.record_path)


def try_to_read_as_a_person(thief: Thief) -> None:
    with contextlib.suppress(hvac.exceptions.Forbidden):
        thief.token_of("keyturn-owner").read(thief.record_path)


def try_to_read_with_a_batch_token(thief: Thief) -> None:
    data = {"policies": ["keyturn-owner"], "type": "batch"}
    made = thief.root.write_data("auth/token/create", data=data)
    with contextlib.suppress(hvac.exceptions.Forbidden):
        thief.with_token(made["auth"]["client_token"]).read(thief.record_path)


def change_what_a_login_asks_for(thief: Thief) -> None:
    path = "auth/keyturn-approle/role/gateway-svc/secret-id-num-uses"
    thief.root.write_data(path, data={"secret_id_num_uses": 0})


def rewrap_by_root(thief: Thief) -> None:
    context = base64.b64encode(thief.key.encode()).decode()
    data = {"ciphertext": thief.stolen(), "context": context}
    thief.root.write_data("keyturn-transit/rewrap/openai", data=data)
