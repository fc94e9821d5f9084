"""Who may call what, by full method name; what is not here is denied to everybody.

One table per port: people come with an ID token to the owner port, gateways with their certificate
to the gateway port. A test proves that every RPC of the contract stands in exactly one of them.
"""

from __future__ import annotations

from typing import Final

from keyvault_svc.domain.roles import GATEWAY, PERSON
from svc_runtime.access_policy import AccessPolicy, MethodAccess

_PEOPLE: Final = MethodAccess(frozenset({PERSON}))
_GATEWAYS: Final = MethodAccess(frozenset({GATEWAY}))

OWNER_PORT: Final[AccessPolicy] = {
    "/keyturn.keyvault.v1.KeyService/CreateKey": _PEOPLE,
    "/keyturn.keyvault.v1.KeyService/GetKey": _PEOPLE,
    "/keyturn.keyvault.v1.KeyService/ListKeys": _PEOPLE,
    "/keyturn.keyvault.v1.KeyService/RotateKey": _PEOPLE,
    "/keyturn.keyvault.v1.KeyService/UpdateKey": _PEOPLE,
    "/keyturn.keyvault.v1.KeyService/UndoRotation": _PEOPLE,
    "/keyturn.keyvault.v1.KeyService/VerifyKey": _PEOPLE,
    "/keyturn.keyvault.v1.KeyService/DisableKey": _PEOPLE,
    "/keyturn.keyvault.v1.KeyService/EnableKey": _PEOPLE,
    "/keyturn.keyvault.v1.KeyService/DeleteKey": _PEOPLE,
    "/keyturn.keyvault.v1.GrantService/CreateGrant": _PEOPLE,
    "/keyturn.keyvault.v1.GrantService/ListGrants": _PEOPLE,
    "/keyturn.keyvault.v1.GrantService/RevokeGrant": _PEOPLE,
    "/keyturn.keyvault.v1.OwnerService/ExportOwner": _PEOPLE,
    "/keyturn.keyvault.v1.OwnerService/EraseOwner": _PEOPLE,
}

GATEWAY_PORT: Final[AccessPolicy] = {
    "/keyturn.keyvault.v1.KeyLeaseService/AcquireLease": _GATEWAYS,
    "/keyturn.keyvault.v1.KeyLeaseService/SettleLease": _GATEWAYS,
    "/keyturn.keyvault.v1.KeyVerificationService/ClaimVerification": _GATEWAYS,
    "/keyturn.keyvault.v1.KeyVerificationService/ReportVerification": _GATEWAYS,
}
