"""The tables that decide (who may call, which failure is which status) hold every case, once."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import pytest
from google.protobuf.descriptor import FileDescriptor, ServiceDescriptor
from grpc import StatusCode

from gateway_svc.domain import errors as gateway_errors
from gateway_svc.domain.key_name import KeyName
from gateway_svc.domain.lease_ports import Lease, LeaseRequest
from gateway_svc.domain.roles import APP
from gateway_svc.ext_authz.access_policy import ENVOY, ENVOY_PORT
from gateway_svc.http.error_status import HTTP_STATUS
from gateway_svc.keyvault_client.error_translation import BY_REASON
from gateway_svc.rpc.access_policy import APP_PORT
from gateway_svc.rpc.error_status import ERROR_STATUS as GATEWAY_STATUS
from gateway_svc.vault.transit_opener import TransitOpener
from gateway_svc.vault.unwrapper import Unwrapper
from keyvault_svc.domain import errors as keyvault_errors
from keyvault_svc.domain.ports import AuditTags
from keyvault_svc.domain.roles import GATEWAY, PERSON, Action
from keyvault_svc.rpc.access_policy import ACTIONS, GATEWAY_PORT, OWNER_PORT
from keyvault_svc.rpc.error_status import ERROR_STATUS as KEYVAULT_STATUS
from keyvault_svc.vault.audit_headers import headers_for
from keyvault_svc.vault.bootstrap.audit_steps import _converge_headers
from keyvault_svc.vault.bootstrap.vault_admin import VaultAdmin
from svc_runtime.audit_stream.errors import AuditUnavailableError
from svc_runtime.clock import SystemClock
from svc_runtime.interceptors.error_status import RUNTIME_STATUS
from svc_runtime.jwt_verifier import IssuerUnavailableError
from svc_runtime.service_error import (
    ServiceError,
)
from svc_runtime.spiffe_id import SpiffeId
from svc_runtime.vault.errors import VaultUnavailableError
from svc_runtime.vault.session import VaultSession
from tests.architecture.source_tree import ROOT, modules

RUNTIME_ERRORS = {AuditUnavailableError, IssuerUnavailableError, VaultUnavailableError}
ALL_STATUS = {**RUNTIME_STATUS, **GATEWAY_STATUS}


def _services(package: str) -> Iterator[ServiceDescriptor]:
    for module in modules(package):
        descriptor = getattr(module, "DESCRIPTOR", None)
        if isinstance(descriptor, FileDescriptor) and module.__name__.endswith("_pb2"):
            yield from descriptor.services_by_name.values()


def _methods(package: str) -> dict[str, str]:
    """Return the service's name of each method, by the method's full name."""
    return {
        f"/{service.full_name}/{method.name}": service.name
        for service in _services(package)
        for method in service.methods
    }


KEYVAULT_METHODS = _methods("keyturn.keyvault.v1")
GATEWAY_METHODS = _methods("keyturn.gateway.v1")
ENVOY_METHODS = _methods("keyturn.envoy.v3")


def test_the_contract_has_the_services_that_it_should() -> None:
    assert set(KEYVAULT_METHODS.values()) == {
        "GrantRequestService",
        "GrantService",
        "KeyLeaseService",
        "KeyService",
        "KeyVerificationService",
        "OperatorService",
        "OwnerService",
        "ReconciliationService",
        "UsageService",
    }
    assert set(GATEWAY_METHODS.values()) == {
        "AudioTranscriptionService",
        "ChatCompletionService",
        "EmbeddingService",
        "ModelService",
        "ModerationService",
        "PassThroughService",
        "ResponseService",
    }


def test_each_method_of_the_key_service_stands_in_exactly_one_table() -> None:
    assert sorted([*OWNER_PORT, *GATEWAY_PORT]) == sorted(KEYVAULT_METHODS)


def test_each_method_of_the_gateway_stands_in_its_table() -> None:
    assert set(APP_PORT) == set(GATEWAY_METHODS)


def test_envoys_may_ask_for_keys_and_nothing_else() -> None:
    assert set(ENVOY_PORT) == set(ENVOY_METHODS) == {"/envoy.service.auth.v3.Authorization/Check"}
    assert [access.roles for access in ENVOY_PORT.values()] == [{ENVOY}]
    assert ENVOY not in {role for access in APP_PORT.values() for role in access.roles}


@pytest.mark.parametrize("method", KEYVAULT_METHODS)
def test_leases_and_verifications_are_for_gateways_and_the_rest_for_people(method: str) -> None:
    for_gateways = {"KeyLeaseService", "KeyVerificationService", "ReconciliationService"}
    role = GATEWAY if KEYVAULT_METHODS[method] in for_gateways else PERSON

    assert {**OWNER_PORT, **GATEWAY_PORT}[method].roles == {role}


def test_only_the_gateway_port_knows_gateways() -> None:
    assert {role for access in GATEWAY_PORT.values() for role in access.roles} == {GATEWAY}
    assert {role for access in OWNER_PORT.values() for role in access.roles} == {PERSON}


def test_what_people_do_by_each_method_is_one_action_and_each_action_has_a_method() -> None:
    for_gateways = {"KeyLeaseService", "KeyVerificationService", "ReconciliationService"}
    of_people = {m for m, service in KEYVAULT_METHODS.items() if service not in for_gateways}

    assert set(ACTIONS) == set(OWNER_PORT) == of_people
    assert set(ACTIONS.values()) == set(Action)


@pytest.mark.parametrize("method", GATEWAY_METHODS)
def test_the_gateway_serves_apps_only(method: str) -> None:
    assert APP_PORT[method].roles == {APP}


@pytest.mark.parametrize("method", [*KEYVAULT_METHODS, *GATEWAY_METHODS, *ENVOY_METHODS])
def test_every_call_needs_a_deadline(method: str) -> None:
    assert {**OWNER_PORT, **GATEWAY_PORT, **APP_PORT, **ENVOY_PORT}[method].needs_deadline


def _defined(package: ModuleType) -> set[type[ServiceError]]:
    """Return the errors that the modules of *package* define."""
    names = [
        module.name for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
    ]
    return {
        value
        for name in names
        for value in vars(importlib.import_module(name)).values()
        if isinstance(value, type) and issubclass(value, ServiceError) and value.__module__ == name
    }


def _leaves(package: ModuleType) -> set[type[ServiceError]]:
    """Return the errors of *package* that have no subclass."""
    return {error for error in _defined(package) if not error.__subclasses__()}


@pytest.mark.parametrize(
    "package", [keyvault_errors, gateway_errors], ids=["keyvault_svc", "gateway_svc"]
)
def test_a_service_has_one_closed_set_of_errors(package: ModuleType) -> None:
    drawn = re.findall(r"\w+Error\b", package.__doc__ or "")

    assert {vars(package)[name] for name in package.__all__} == _defined(package)
    assert sorted(drawn) == sorted([*package.__all__, ServiceError.__name__])


@pytest.mark.parametrize(
    ("table", "module"),
    [(KEYVAULT_STATUS, keyvault_errors), (GATEWAY_STATUS, gateway_errors)],
    ids=["keyvault_svc", "gateway_svc"],
)
def test_each_error_of_a_service_has_a_status_and_no_other_has(
    table: Mapping[type[ServiceError], StatusCode], module: ModuleType
) -> None:
    assert set(table) == _leaves(module) | RUNTIME_ERRORS


@pytest.mark.parametrize("table", [KEYVAULT_STATUS, GATEWAY_STATUS], ids=["keyvault", "gateway"])
def test_no_error_says_that_all_went_well_or_that_nobody_knows(
    table: Mapping[type[ServiceError], StatusCode],
) -> None:
    assert not {StatusCode.OK, StatusCode.UNKNOWN, StatusCode.INTERNAL} & set(table.values())


def _occurs_over_http(error: type[ServiceError]) -> bool:
    """Tell whether *error* can end an HTTP call: there OpenAI's refusals are answers."""
    of_typed_calls = (
        gateway_errors.UpstreamRefusedError,
        gateway_errors.UpstreamAnswerUnusableError,
    )
    return not issubclass(error, of_typed_calls)


def test_each_error_that_occurs_over_http_has_a_status_there_and_no_other_has() -> None:
    assert set(HTTP_STATUS) == {error for error in ALL_STATUS if _occurs_over_http(error)}


# HTTP tells a gateway's own outage (503) from one behind it (502), gRPC does not: EXCEPTIONS.
HTTP_OF_CODE = {
    StatusCode.INVALID_ARGUMENT: 400,
    StatusCode.UNAUTHENTICATED: 401,
    StatusCode.PERMISSION_DENIED: 403,
    StatusCode.RESOURCE_EXHAUSTED: 429,
    StatusCode.FAILED_PRECONDITION: 401,  # OpenAI's own status for a key that it refuses
    StatusCode.UNAVAILABLE: 503,
    StatusCode.DEADLINE_EXCEEDED: 504,
    StatusCode.ABORTED: 409,
    StatusCode.DATA_LOSS: 500,
}
EXCEPTIONS: Mapping[type[ServiceError], int] = {
    gateway_errors.UpstreamUnavailableError: 502,
    # The owner's own doing, not OpenAI's: SDKs tell a 401 as a wrong key.
    gateway_errors.KeyPendingError: 403,
    gateway_errors.KeyDisabledError: 403,
    gateway_errors.KeyExpiredError: 403,
    gateway_errors.HandoffForgedError: 403,
    gateway_errors.UpstreamNotAllowedError: 403,
}
TYPE_OF_STATUS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
}
# OpenAI's own types of 429.
TYPE_OF_LIMIT: Mapping[type[ServiceError], str] = {
    gateway_errors.RateLimitedError: "requests",
    gateway_errors.BudgetSpentError: "insufficient_quota",
}


@pytest.mark.parametrize("error", HTTP_STATUS, ids=lambda error: error.__name__)
def test_both_surfaces_of_the_gateway_say_the_same(error: type[ServiceError]) -> None:
    status, kind = HTTP_STATUS[error]

    assert status == EXCEPTIONS.get(error, HTTP_OF_CODE[ALL_STATUS[error]])
    assert kind == TYPE_OF_LIMIT.get(error, TYPE_OF_STATUS.get(status, "server_error"))


@pytest.mark.parametrize("error", HTTP_STATUS, ids=lambda error: error.__name__)
def test_an_outage_never_looks_like_a_refusal(error: type[ServiceError]) -> None:
    status, _ = HTTP_STATUS[error]

    assert (error.retry_after_seconds is not None) <= (status in {502, 503})
    assert (ALL_STATUS[error] is StatusCode.UNAVAILABLE) == (status in {502, 503})


def _acquire_lease_comment() -> str:
    proto = ROOT / "protos" / "keyturn" / "keyvault" / "v1" / "key_lease_service.proto"
    text = proto.read_text(encoding="utf-8")
    return text[text.index("// Decides whether") : text.index("rpc AcquireLease")]


DOCUMENTED_REASONS = set(re.findall(r"\b[A-Z]{3,}(?:_[A-Z]+)*\b", _acquire_lease_comment())) - {
    code.name for code in StatusCode
}


@pytest.mark.parametrize("reason", sorted(DOCUMENTED_REASONS))
def test_every_reason_of_a_refused_lease_is_translated(reason: str) -> None:
    assert BY_REASON[reason]().reason == reason


def test_every_documented_reason_is_one_of_the_key_service() -> None:
    assert {error.reason for error in KEYVAULT_STATUS} >= DOCUMENTED_REASONS


def test_what_is_translated_is_documented_or_a_fault_of_the_record() -> None:
    assert set(BY_REASON) - DOCUMENTED_REASONS == {keyvault_errors.KeyRecordUnreadableError.reason}


def test_a_reason_that_both_services_know_has_one_text() -> None:
    of_gateway = {error.reason: error.public_message for error in GATEWAY_STATUS}
    shared = {e.reason: e.public_message for e in KEYVAULT_STATUS if e.reason in of_gateway}

    assert shared
    assert shared == {reason: of_gateway[reason] for reason in shared}


def test_a_reason_that_both_services_know_has_one_code() -> None:
    of_gateway = {error.reason: code for error, code in GATEWAY_STATUS.items()}
    shared = {e.reason: code for e, code in KEYVAULT_STATUS.items() if e.reason in of_gateway}

    assert shared == {reason: of_gateway[reason] for reason in shared}


class _RecordingAdmin(VaultAdmin):
    """A Vault that audits no header yet."""

    def __init__(self) -> None:
        self.written: dict[str, Mapping[str, object]] = {}

    def read(self, path: str) -> None:
        del path

    def write(self, path: str, data: Mapping[str, object]) -> None:
        self.written[path.rpartition("/")[2]] = data


class _RecordingSession(VaultSession):
    """A Vault that opens whatever it is given."""

    def __init__(self) -> None:
        self.header_names: set[str] = set()

    async def call(
        self,
        operation: Callable[..., Any],
        headers: Mapping[str, str] | None = None,
        *,
        timeout_seconds: float | None = None,
    ) -> dict[str, Any]:
        del operation, timeout_seconds
        self.header_names |= set(headers or {})
        return {"data": {"plaintext": "c2stY2FuYXJ5"}}


async def test_vault_audits_the_headers_that_both_services_send() -> None:
    request = LeaseRequest(
        "request-0001",
        KeyName.parse("users/alice/keys/openai"),
        SpiffeId.parse("spiffe://example.org/app/billing"),
        "POST",
        "chat/completions",
        "gpt-4o",
        "10.1.2.3",
        b"",
        0,
        0,
        None,
    )
    lease = Lease("0" * 32, 1, "grant", datetime(2026, 3, 1, tzinfo=UTC), "vault:v1:x")
    admin, session = _RecordingAdmin(), _RecordingSession()

    _converge_headers(admin)
    await TransitOpener(session, Unwrapper(session, SystemClock())).open(request, lease, 1.0)

    assert session.header_names == set(admin.written)
    assert set(headers_for(AuditTags("r", "k", "l", "a"))) == set(admin.written)
    assert all(about == {"hmac": False} for about in admin.written.values())
