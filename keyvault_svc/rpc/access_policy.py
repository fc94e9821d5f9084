"""Who may call what, by full method name; what is not here is denied to everybody.

One table per port: people come with an ID token to the owner port, gateways with their certificate
to the gateway port. A test proves that every RPC of the contract stands in exactly one of them.
What a person's roles allow is looked up by the action: see `keyvault_svc.domain.roles.MAY`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from keyvault_svc.domain.roles import GATEWAY, PERSON, Action
from svc_runtime.access_policy import AccessPolicy, MethodAccess

_PEOPLE: Final = MethodAccess(frozenset({PERSON}))
_GATEWAYS: Final = MethodAccess(frozenset({GATEWAY}))

ACTIONS: Final[Mapping[str, Action]] = {
    "/keyturn.keyvault.v1.KeyService/CreateKey": Action.ADD_KEY,
    "/keyturn.keyvault.v1.KeyService/GetKey": Action.READ_KEYS,
    "/keyturn.keyvault.v1.KeyService/ListKeys": Action.READ_KEYS,
    "/keyturn.keyvault.v1.KeyService/RotateKey": Action.ROTATE_KEY,
    "/keyturn.keyvault.v1.KeyService/UpdateKey": Action.UPDATE_KEY,
    "/keyturn.keyvault.v1.KeyService/UndoRotation": Action.UNDO_ROTATION,
    "/keyturn.keyvault.v1.KeyService/VerifyKey": Action.VERIFY_KEY,
    "/keyturn.keyvault.v1.KeyService/DisableKey": Action.DISABLE_KEY,
    "/keyturn.keyvault.v1.KeyService/EnableKey": Action.ENABLE_KEY,
    "/keyturn.keyvault.v1.KeyService/DeleteKey": Action.DELETE_KEY,
    "/keyturn.keyvault.v1.GrantService/CreateGrant": Action.CREATE_GRANT,
    "/keyturn.keyvault.v1.GrantService/UpdateGrant": Action.UPDATE_GRANT,
    "/keyturn.keyvault.v1.GrantService/GetConsentText": Action.READ_CONSENT_TEXT,
    "/keyturn.keyvault.v1.GrantService/ListGrants": Action.READ_GRANTS,
    "/keyturn.keyvault.v1.GrantService/RevokeGrant": Action.REVOKE_GRANT,
    "/keyturn.keyvault.v1.GrantRequestService/CreateGrantRequest": Action.ASK_FOR_GRANT,
    "/keyturn.keyvault.v1.GrantRequestService/GetGrantRequest": Action.READ_GRANT_REQUESTS,
    "/keyturn.keyvault.v1.GrantRequestService/ListGrantRequests": Action.READ_GRANT_REQUESTS,
    "/keyturn.keyvault.v1.GrantRequestService/ApproveGrantRequest": Action.DECIDE_GRANT_REQUEST,
    "/keyturn.keyvault.v1.GrantRequestService/DeclineGrantRequest": Action.DECIDE_GRANT_REQUEST,
    "/keyturn.keyvault.v1.UsageService/GetUsage": Action.READ_USAGE,
    "/keyturn.keyvault.v1.OwnerService/ExportOwner": Action.EXPORT_OWNER,
    "/keyturn.keyvault.v1.OwnerService/EraseOwner": Action.ERASE_OWNER,
    "/keyturn.keyvault.v1.OperatorService/Suspend": Action.SUSPEND,
    "/keyturn.keyvault.v1.OperatorService/Resume": Action.RESUME,
    "/keyturn.keyvault.v1.OperatorService/GetControls": Action.READ_CONTROLS,
    "/keyturn.keyvault.v1.OperatorService/SetOwnerLimits": Action.SET_OWNER_LIMITS,
}
"""What people do by each RPC of the owner port."""

OWNER_PORT: Final[AccessPolicy] = dict.fromkeys(ACTIONS, _PEOPLE)

GATEWAY_PORT: Final[AccessPolicy] = {
    "/keyturn.keyvault.v1.KeyLeaseService/AcquireLease": _GATEWAYS,
    "/keyturn.keyvault.v1.KeyLeaseService/CheckLease": _GATEWAYS,
    "/keyturn.keyvault.v1.KeyLeaseService/SettleLease": _GATEWAYS,
    "/keyturn.keyvault.v1.KeyVerificationService/ClaimVerification": _GATEWAYS,
    "/keyturn.keyvault.v1.KeyVerificationService/ReportVerification": _GATEWAYS,
    "/keyturn.keyvault.v1.ReconciliationService/ListReconciledKeys": _GATEWAYS,
    "/keyturn.keyvault.v1.ReconciliationService/LeaseAdminKey": _GATEWAYS,
    "/keyturn.keyvault.v1.ReconciliationService/ReportReconciliation": _GATEWAYS,
    "/keyturn.keyvault.v1.ReconciliationService/RecheckAdminKey": _GATEWAYS,
}
