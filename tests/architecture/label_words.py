"""The words that labels of metrics take from elsewhere in the code."""

from __future__ import annotations

from gateway_svc.http.error_status import HTTP_STATUS
from gateway_svc.log_events import EVENTS as GATEWAY_EVENTS
from gateway_svc.rpc.error_status import ERROR_STATUS as GATEWAY_STATUS
from keyvault_svc.log_events import EVENTS as KEYVAULT_EVENTS
from keyvault_svc.rpc.error_status import ERROR_STATUS as KEYVAULT_STATUS
from svc_runtime.interceptors.error_status import RUNTIME_STATUS

_ERRORS = (*RUNTIME_STATUS, *GATEWAY_STATUS, *KEYVAULT_STATUS, *HTTP_STATUS)
REASONS = {error.reason for error in _ERRORS} | {
    "INTERNAL",
    "METHOD_UNKNOWN",
    "REQUEST_NOT_RECEIVED",
}
SECURITY_EVENT_NAMES = {
    event.name for event in (*GATEWAY_EVENTS, *KEYVAULT_EVENTS) if event.is_security
}
