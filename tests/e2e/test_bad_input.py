"""Bad input at the owner port: an error that names field and rule, and nothing happens."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from keyturn.keyvault.v1 import grant_pb2 as grant_pb
from keyturn.keyvault.v1 import grant_request_service_pb2 as request_pb
from keyturn.keyvault.v1 import grant_service_pb2 as grants_pb
from keyturn.keyvault.v1 import key_service_pb2 as keys_pb
from keyturn_cli.local.layout import DEMO_APP
from keyturn_cli.standin.standin_keys import make_key
from svc_runtime.error_details import field_violation_of, metadata_of
from tests.e2e.clients import DEADLINE_SECONDS, Clients, new_request_id
from tests.e2e.evidence import vault_operations
from tests.e2e.owners import OwnedKey, alice, keep_key, unused_name

BAD_KEYS = {
    "empty": (b"", "must not be empty"),
    "no prefix": (b"pk-0123456789abcdef0123456789", "must be 'sk-'"),
    "too short": (b"sk-0123456789", "must be 'sk-'"),
    "too long": (b"sk-" + b"a" * 401, "must be 'sk-'"),
    "admin": (b"sk-admin-0123456789abcdef0123456789", "must not be an admin key"),
    "newline at the end": (b"sk-0123456789abcdef0123456789\n", "must be 'sk-'"),
    "header injected": (b"sk-0123456789abcdef0123\r\nx-evil: 1", "must be 'sk-'"),
    "space before": (b" sk-0123456789abcdef0123456789", "must be 'sk-'"),
    "bearer": (b"Bearer sk-0123456789abcdef0123456789", "must be 'sk-'"),
    "not ascii": ("sk-0123456789abcdef01234567é".encode(), "must be 'sk-'"),
    "null byte": (b"sk-0123456789abcdef0123456789\0", "must be 'sk-'"),
}
BAD_NAMES = {
    "empty": "",
    "owner only": "users/alice",
    "no key": "users/alice/keys/",
    "up to another folder": "users/../keys/x",
    "up from the keys": "users/alice/keys/..",
    "here": "users/alice/keys/.",
    "up in the middle": "users/alice/keys/x/../y",
    "escaped dots": "users/alice/keys/%2e%2e",
    "escaped slash": "users/alice%2Fkeys/x",
    "one more segment": "users/alice/keys/a/b",
    "empty segment": "users//keys/x",
    "slash before": "/users/alice/keys/x",
    "slash after": "users/alice/keys/x/",
    "another collection": "admins/alice/keys/x",
    "capitals": "users/alice/keys/X",
    "dot before": "users/alice/keys/.x",
    "dash after": "users/alice/keys/x-",
    "null byte": "users/alice/keys/x\0",
    "newline": "users/alice/keys/x\n",
    "wide slash": "users/alice/keys/a\uff0fb",
    "letters that look alike": "users/\u0430lice/keys/x",
    "64 characters": "users/alice/keys/" + "a" * 64,
    "very long": "users/alice/keys/" + "a" * 100_000,
}
GRANT: dict[str, Any] = {"app": DEMO_APP, "models": ["*"], "endpoints": ["*"]}


def _past() -> Timestamp:
    time = Timestamp()
    time.FromDatetime(datetime.now(UTC) - timedelta(seconds=1))
    return time


BAD_GRANTS = {
    "no models": ({"models": []}, "grant.models", "at least one entry"),
    "an empty model": ({"models": [""]}, "grant.models", "malformed"),
    "a star inside": ({"models": ["gpt-*-mini"]}, "grant.models", "malformed"),
    "too many models": ({"models": ["m"] * 101}, "grant.models", "at most 100"),
    "no endpoints": ({"endpoints": []}, "grant.endpoints", "at least one entry"),
    "a slash before": ({"endpoints": ["/embeddings"]}, "grant.endpoints", "malformed"),
    "a path upwards": ({"endpoints": ["models/../files"]}, "grant.endpoints", "malformed"),
    "an escape": ({"endpoints": ["chat%2fcompletions"]}, "grant.endpoints", "malformed"),
    "no network": ({"source_cidrs": ["here"]}, "grant.source_cidrs", "network"),
    "host bits": ({"source_cidrs": ["10.1.2.3/16"]}, "grant.source_cidrs", "host bits"),
    "a wide mask": ({"source_cidrs": ["10.0.0.0/33"]}, "grant.source_cidrs", "network"),
    "a past end": ({"expire_time": _past()}, "grant.expire_time", "in the future"),
    "no such time": (
        {"expire_time": Timestamp(seconds=2**62)},
        "grant.expire_time",
        "between the years",
    ),
    "no app": ({"app": ""}, "grant.app", "SPIFFE ID"),
    "an app's url": ({"app": "https://keyturn.local/app/demo"}, "grant.app", "SPIFFE ID"),
    "an app upwards": ({"app": "spiffe://keyturn.local/app/../demo"}, "grant.app", "SPIFFE ID"),
    "an app without a path": ({"app": "spiffe://keyturn.local"}, "grant.app", "SPIFFE ID"),
    "an app's pattern": ({"app": "spiffe://keyturn.local/app/*"}, "grant.app", "SPIFFE ID"),
}


@pytest.fixture(scope="module")
def key(clients: Clients) -> OwnedKey:
    """A key of alice's that stays as it is."""
    return asyncio.run(keep_key(clients, "bad-input"))


async def _violation(
    clients: Clients,
    rpc: str,
    request: Message,
    *,
    timeout: float | None = DEADLINE_SECONDS,  # noqa: ASYNC109 - gRPC's own, not asyncio's
) -> tuple[str, str]:
    """Return the field and the rule that a refused call names; Vault was not asked anything."""
    request_id = new_request_id()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await alice(clients).call(rpc, request, request_id=request_id, timeout=timeout)

    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert clients.reason(caught.value) == "INVALID_ARGUMENT"
    assert metadata_of(caught.value)["request_id"] == request_id
    assert vault_operations(clients, request_id) == []
    violation = field_violation_of(caught.value)
    assert violation is not None
    return violation


@pytest.mark.parametrize(("raw_key", "rule"), BAD_KEYS.values(), ids=BAD_KEYS)
async def test_what_is_no_key_is_not_taken_into_custody(
    clients: Clients, raw_key: bytes, rule: str
) -> None:
    request = keys_pb.CreateKeyRequest(name=unused_name("bad"), api_key=raw_key)
    field, told = await _violation(clients, "CreateKey", request)

    assert field == "api_key"
    assert told.startswith(rule)


@pytest.mark.parametrize(("raw_key", "rule"), BAD_KEYS.values(), ids=BAD_KEYS)
async def test_a_key_is_not_rotated_to_what_is_none(
    clients: Clients, key: OwnedKey, raw_key: bytes, rule: str
) -> None:
    request = keys_pb.RotateKeyRequest(name=key.name, api_key=raw_key)
    field, told = await _violation(clients, "RotateKey", request)

    assert field == "api_key"
    assert told.startswith(rule)


def _requests_about(name: str) -> dict[str, tuple[Message, str]]:
    """Return one request of each RPC about the key *name*, and the field that holds the name."""
    return {
        "CreateKey": (
            keys_pb.CreateKeyRequest(name=name, api_key=make_key().expose()),
            "name",
        ),
        "GetKey": (keys_pb.GetKeyRequest(name=name), "name"),
        "RotateKey": (
            keys_pb.RotateKeyRequest(name=name, api_key=make_key().expose()),
            "name",
        ),
        "DeleteKey": (keys_pb.DeleteKeyRequest(name=name), "name"),
        "CreateGrant": (
            grants_pb.CreateGrantRequest(parent=name, grant=grant_pb.Grant(**GRANT)),
            "parent",
        ),
        **(
            {}  # an owner's grants can be listed as well
            if name == BAD_NAMES["owner only"]
            else {"ListGrants": (grants_pb.ListGrantsRequest(parent=name), "parent")}
        ),
        "UpdateGrant": (
            grants_pb.UpdateGrantRequest(
                grant=grant_pb.Grant(name=f"{name}/grants/0123456789abcdef", **GRANT),
                update_mask=FieldMask(paths=["models"]),
            ),
            "grant.name",
        ),
        "CreateGrantRequest": (
            request_pb.CreateGrantRequestRequest(
                parent=name,
                grant_request=request_pb.GrantRequest(
                    grant=grant_pb.Grant(**GRANT), reason="Sorts invoices"
                ),
            ),
            "parent",
        ),
        **{
            rpc: (kind(name=f"{name}/grantRequests/0123456789abcdef"), "name")
            for rpc, kind in (
                ("GetGrantRequest", request_pb.GetGrantRequestRequest),
                ("ApproveGrantRequest", request_pb.ApproveGrantRequestRequest),
                ("DeclineGrantRequest", request_pb.DeclineGrantRequestRequest),
            )
        },
        "RevokeGrant": (
            grants_pb.RevokeGrantRequest(name=f"{name}/grants/0123456789abcdef"),
            "name",
        ),
    }


@pytest.mark.parametrize("name", BAD_NAMES.values(), ids=BAD_NAMES)
async def test_a_name_that_is_none_is_refused_by_every_method(clients: Clients, name: str) -> None:
    for rpc, (request, name_field) in _requests_about(name).items():
        field, rule = await _violation(clients, rpc, request)

        assert field == name_field, rpc
        assert rule.startswith("must be"), rpc


@pytest.mark.parametrize(
    "parent", ["", "alice", "users/", "users/..", "users/alice/keys", "users/%2e%2e", "/alice"]
)
async def test_an_owner_that_is_none_has_no_list(clients: Clients, parent: str) -> None:
    field, rule = await _violation(clients, "ListKeys", keys_pb.ListKeysRequest(parent=parent))

    assert field == "parent"
    assert rule.startswith("must be users/<id> or teams/<id>")


@pytest.mark.parametrize("grant", ["", "..", "0123456789ABCDEF", "0123456789abcdef/x", "%2e%2e"])
async def test_a_grant_that_is_none_is_not_revoked(
    clients: Clients, key: OwnedKey, grant: str
) -> None:
    request = grants_pb.RevokeGrantRequest(name=f"{key.name}/grants/{grant}")
    field, rule = await _violation(clients, "RevokeGrant", request)

    assert field == "name"
    assert "/grants/<16 hexadecimal digits>" in rule


@pytest.mark.parametrize(("terms", "field", "rule"), BAD_GRANTS.values(), ids=BAD_GRANTS)
async def test_terms_that_break_a_rule_are_not_granted(
    clients: Clients, key: OwnedKey, terms: dict[str, Any], field: str, rule: str
) -> None:
    grant = grant_pb.Grant(**{**GRANT, **terms})
    request = grants_pb.CreateGrantRequest(parent=key.name, grant=grant)
    told_field, told_rule = await _violation(clients, "CreateGrant", request)

    assert told_field == field
    assert rule in told_rule
    assert await alice(clients).list_grants(key.name) == []


@pytest.mark.parametrize("timeout", [None, 120.0], ids=["missing", "too long"])
async def test_a_call_needs_a_deadline_in_bounds(
    clients: Clients,
    key: OwnedKey,
    timeout: float | None,  # noqa: ASYNC109 - gRPC's own, not asyncio's
) -> None:
    request = keys_pb.GetKeyRequest(name=key.name)
    field, rule = await _violation(clients, "GetKey", request, timeout=timeout)

    assert field == "grpc-timeout"
    assert rule == "a deadline is required, at most 60 seconds"


@pytest.mark.parametrize("request_id", ["short", "with space", "a/../../b", "a" * 65])
async def test_a_malformed_request_id_is_refused(
    clients: Clients, key: OwnedKey, request_id: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await alice(clients).call(
            "GetKey", keys_pb.GetKeyRequest(name=key.name), request_id=request_id
        )

    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert (field_violation_of(caught.value) or ("", ""))[0] == "x-keyturn-request-id"
    given_instead = metadata_of(caught.value)["request_id"]
    assert given_instead != request_id
    assert vault_operations(clients, given_instead) == []
