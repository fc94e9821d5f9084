"""The documents' tables of errors say what the services' tables do."""

from __future__ import annotations

from collections.abc import Mapping

from grpc import StatusCode

from gateway_svc.http import error_status as gateway_http
from gateway_svc.rpc import error_status as gateway_rpc
from keyvault_svc.rpc import error_status as keyvault_rpc
from svc_runtime.interceptors.error_status import RUNTIME_STATUS
from svc_runtime.service_error import ServiceError
from tests.architecture.documented_tables import table_rows

StatusTable = Mapping[type[ServiceError], StatusCode]


def _http_cell(error: type[ServiceError]) -> str:
    if error not in gateway_http.HTTP_STATUS:
        return "-"
    status, kind = gateway_http.HTTP_STATUS[error]
    return f"{status} `{kind}`"


def _rows_of(table: StatusTable) -> list[tuple[str, str]]:
    rows = [(f"`{error.reason}`", f"`{code.name}`") for error, code in table.items()]
    return sorted([*rows, ("`INTERNAL`", "`INTERNAL`")])


def test_app_developers_read_every_error_of_the_gateway_and_its_status() -> None:
    documented = sorted(
        (reason, code, http)
        for reason, code, http, _ in table_rows("docs/app-developers.md", "Errors", "reason")
    )
    status, reason, _ = gateway_http.INTERNAL
    internal = (f"`{reason}`", "`INTERNAL`", f"{status} `server_error`")
    table: StatusTable = {**RUNTIME_STATUS, **gateway_rpc.ERROR_STATUS}
    coded = [
        (f"`{error.reason}`", f"`{code.name}`", _http_cell(error)) for error, code in table.items()
    ]

    assert documented == sorted([*coded, internal])


def test_owners_read_every_error_of_the_key_service_and_its_status() -> None:
    documented = sorted(
        (reason, code)
        for reason, code, _, _ in table_rows(
            "docs/owners.md", "When something is refused", "reason"
        )
    )

    assert documented == _rows_of({**RUNTIME_STATUS, **keyvault_rpc.ERROR_STATUS})


def test_every_error_says_what_to_do() -> None:
    rows = table_rows("docs/app-developers.md", "Errors", "reason")

    assert [reason for reason, *_, advice in rows if not advice.endswith(".")] == []
