# Looks at what `keyvault-svc bootstrap` sets up, and changes nothing: for `--dry-run`, and for
# `keyturn doctor`. It shows no secret. Of keyturn-bootstrap.hcl these are the lines that read;
# tests/integration/keyvault_svc/test_bootstrap_policy.py keeps the two in step.

# Only a token of the bootstrap's own login is revoked by it.
path "auth/token/revoke-self" {
  capabilities = ["update"]
}

path "sys/audit" {
  capabilities = ["read", "sudo"]
}
path "sys/config/auditing/request-headers" {
  capabilities = ["read", "sudo"]
}
path "sys/mounts" {
  capabilities = ["read"]
}
path "keyturn-kv/config" {
  capabilities = ["read"]
}
path "keyturn-transit/keys/openai" {
  capabilities = ["read"]
}
path "keyturn-transit/keys/fingerprint" {
  capabilities = ["read"]
}
path "keyturn-transit/keys/audit-keyvault-svc" {
  capabilities = ["read"]
}
path "keyturn-transit/keys/audit-gateway-svc" {
  capabilities = ["read"]
}
path "sys/policies/acl/keyvault-svc" {
  capabilities = ["read"]
}
path "sys/policies/acl/gateway-svc" {
  capabilities = ["read"]
}
path "sys/policies/acl/keyvault-maintenance" {
  capabilities = ["read"]
}
path "sys/policies/acl/keyturn-owner" {
  capabilities = ["read"]
}
path "sys/policies/acl/keyturn-owner-mfa" {
  capabilities = ["read"]
}
path "sys/policies/acl/keyturn-app" {
  capabilities = ["read"]
}
path "sys/auth" {
  capabilities = ["read"]
}
path "auth/keyturn-approle/role/+" {
  capabilities = ["read"]
}
path "auth/keyturn-kubernetes/config" {
  capabilities = ["read"]
}
path "auth/keyturn-kubernetes/role/+" {
  capabilities = ["read"]
}
path "auth/keyturn-cert/certs/+" {
  capabilities = ["read"]
}
path "auth/keyturn-jwt/config" {
  capabilities = ["read"]
}
path "auth/keyturn-jwt/role/+" {
  capabilities = ["read"]
}
path "keyturn-pki/issuers" {
  capabilities = ["list"]
}
path "keyturn-pki/roles/+" {
  capabilities = ["read"]
}
path "identity/oidc/config" {
  capabilities = ["read"]
}
path "identity/oidc/key/keyturn" {
  capabilities = ["read"]
}
path "identity/oidc/role/keyturn-owner" {
  capabilities = ["read"]
}
path "identity/oidc/role/keyturn-owner-mfa" {
  capabilities = ["read"]
}
path "identity/oidc/role/keyturn-app" {
  capabilities = ["read"]
}
path "identity/mfa/method/totp" {
  capabilities = ["list"]
}
path "identity/mfa/method/totp/+" {
  capabilities = ["read"]
}
path "identity/mfa/login-enforcement/keyturn-people-mfa" {
  capabilities = ["read"]
}
