"""A secret leaves `SecretBytes` in few, known places, and never gets a name there."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.architecture.source_tree import PACKAGES, files, parse, relative

# Changing this list is a change of where keys and tokens can leak: it needs two approvals.
MAY_EXPOSE = {
    "gateway_svc/ext_authz/check_answers.py": "hands the key to an Envoy of the settings",
    "gateway_svc/keyvault_client/key_leaser.py": "sends an app's own token to the key service",
    "gateway_svc/openai_api/keyed_request.py": "writes the key into the request to OpenAI",
    "gateway_svc/openai_api/one_time_auth.py": "writes the admin key into one request to OpenAI",
    "gateway_svc/vault/unwrapper.py": "hands a wrapping token back to Vault",
    "keyturn_cli/local/client_env.py": "hands the tokens of the local stack to its example clients",
    "keyturn_cli/local/demo.py": "adds the demo key, and looks for it in the stack's files",
    "keyturn_cli/local/seeding.py": "acts as the owner of the local stack",
    "keyturn_cli/oidc_device.py": "redeems a device code at the issuer",
    "keyturn_cli/oidc_refresh.py": "sends a refresh token to the issuer that gave it",
    "keyturn_cli/oidc_tokens.py": "sends the client's secret to the issuer",
    "keyturn_cli/owner_api.py": "sends the key that its owner typed, and the owner's ID token",
    "keyturn_cli/owner_token.py": "keeps the owner's ID token in a private file",
    "keyturn_cli/people_login.py": "sends the owner's password to the issuer",
    "keyturn_cli/vault_http.py": "sends a Vault token of the local stack",
    "keyvault_svc/notifications/mail.py": "logs in to the mail server",
    "keyvault_svc/notifications/webhook_signature.py": "signs webhooks",
    "keyvault_svc/rpc/lease_messages.py": "hands a wrapping token to the gateway",
    "keyvault_svc/vault/bootstrap/admin_client.py": "sends an administrator's Vault token",
    "keyvault_svc/vault/transit_sealer.py": "has Vault seal a new key",
    "svc_runtime/jwt_verifier.py": "verifies a token's signature",
    "svc_runtime/vault/adapter.py": "sends the service's Vault token",
    "svc_runtime/vault/login.py": "logs in to Vault",
}
SOURCES = files(*(f"{package}/*.py" for package in PACKAGES))


def _is_exposure(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "expose"
    )


def _receiver(node: ast.expr) -> ast.expr | None:
    match node:
        case ast.Call(func=ast.Attribute(value=receiver)):
            return receiver
        case ast.Attribute(value=receiver) | ast.Subscript(value=receiver):
            return receiver
        case _:
            return None


def _yields_a_secret(value: ast.expr | None) -> bool:
    """Tell whether *value* is an exposed secret, or one of its methods' results."""
    while value is not None:
        if _is_exposure(value):
            return True
        value = _receiver(value)
    return False


def _bindings(tree: ast.Module) -> Iterator[int]:
    """Yield the lines that bind an exposed secret to a name; an entry of a header dict has none."""
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=targets, value=value) if _yields_a_secret(value):
                if not all(isinstance(target, ast.Subscript) for target in targets):
                    yield node.lineno
            case ast.AnnAssign() | ast.AugAssign() | ast.NamedExpr():
                if _yields_a_secret(node.value):
                    yield node.lineno
            case _:
                pass


def _exposing_files() -> set[str]:
    return {
        relative(path)
        for path in SOURCES
        if any(_is_exposure(node) for node in ast.walk(parse(path)))
    }


def test_only_listed_files_expose_a_secret() -> None:
    assert _exposing_files() - set(MAY_EXPOSE) == set()


def test_every_listed_file_exposes_a_secret() -> None:
    assert set(MAY_EXPOSE) - _exposing_files() == set()


def test_an_exposed_secret_never_gets_a_name() -> None:
    named = [f"{relative(path)}:{line}" for path in SOURCES for line in _bindings(parse(path))]

    assert named == []
