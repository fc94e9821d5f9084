# The administrator's token for `keyvault-svc bootstrap`, in place of a root token, or that of its own
# login. With --dry-run (and for `keyturn doctor`) keyturn-bootstrap-read.hcl is enough. Leave out the sections that the deployment does not use.
# tests/integration/keyvault_svc/test_bootstrap_policy.py keeps every line needed.
#
# Who holds this token decides what the policies below say, and so, in the end, about the keys: let
# it live for minutes, and revoke it after use.

# Only a token of the bootstrap's own login is revoked by it.
path "auth/token/revoke-self" {
  capabilities = ["update"]
}

# Audit. The first two are root-protected. Only HashiCorp Vault enables devices by request.
path "sys/audit" {
  capabilities = ["read", "sudo"]
}
path "sys/audit/keyturn" {
  capabilities = ["update", "sudo"]
}
path "sys/config/auditing/request-headers" {
  capabilities = ["read", "sudo"]
}
path "sys/config/auditing/request-headers/+" {
  capabilities = ["update", "sudo"]
}

# Where sealed keys lie, and the keys that seal them and make fingerprints.
path "sys/mounts" {
  capabilities = ["read"]
}
path "sys/mounts/keyturn-kv" {
  capabilities = ["update"]
}
path "keyturn-kv/config" {
  capabilities = ["read", "update"]
}
path "sys/mounts/keyturn-transit" {
  capabilities = ["update"]
}
path "keyturn-transit/keys/openai" {
  capabilities = ["read", "update"]
}
path "keyturn-transit/keys/openai/config" {
  capabilities       = ["update"]
  allowed_parameters = {
    "deletion_allowed" = [false]
  }
}
path "keyturn-transit/keys/fingerprint" {
  capabilities = ["read", "update"]
}
path "keyturn-transit/keys/fingerprint/config" {
  capabilities       = ["update"]
  allowed_parameters = {
    "deletion_allowed" = [false]
  }
}
path "keyturn-transit/keys/audit-keyvault-svc" {
  capabilities = ["read", "update"]
}
path "keyturn-transit/keys/audit-keyvault-svc/config" {
  capabilities       = ["update"]
  allowed_parameters = {
    "deletion_allowed" = [false]
  }
}
path "keyturn-transit/keys/audit-gateway-svc" {
  capabilities = ["read", "update"]
}
path "keyturn-transit/keys/audit-gateway-svc/config" {
  capabilities       = ["update"]
  allowed_parameters = {
    "deletion_allowed" = [false]
  }
}

# The policies of Keyturn. Not this one.
path "sys/policies/acl/keyvault-svc" {
  capabilities = ["read", "update"]
}
path "sys/policies/acl/gateway-svc" {
  capabilities = ["read", "update"]
}
path "sys/policies/acl/keyvault-maintenance" {
  capabilities = ["read", "update"]
}
path "sys/policies/acl/keyturn-owner" {
  capabilities = ["read", "update"]
}
path "sys/policies/acl/keyturn-owner-mfa" {
  capabilities = ["read", "update"]
}
path "sys/policies/acl/keyturn-app" {
  capabilities = ["read", "update"]
}

# Logins, whichever way.
path "sys/auth" {
  capabilities = ["read"]
}

# Logins by AppRole. The ids themselves are somebody else's to make.
path "sys/auth/keyturn-approle" {
  capabilities = ["update", "sudo"]
}
path "auth/keyturn-approle/role/+" {
  capabilities = ["create", "read", "update"]
}

# Logins by Kubernetes.
path "sys/auth/keyturn-kubernetes" {
  capabilities = ["update", "sudo"]
}
path "auth/keyturn-kubernetes/config" {
  capabilities = ["read", "update"]
}
path "auth/keyturn-kubernetes/role/+" {
  capabilities = ["create", "read", "update"]
}

# Logins by TLS certificate.
path "sys/auth/keyturn-cert" {
  capabilities = ["update", "sudo"]
}
path "auth/keyturn-cert/certs/+" {
  capabilities = ["read", "update"]
}

# Logins by JWT.
path "sys/auth/keyturn-jwt" {
  capabilities = ["update", "sudo"]
}
path "auth/keyturn-jwt/config" {
  capabilities = ["read", "update"]
}
path "auth/keyturn-jwt/role/+" {
  capabilities = ["create", "read", "update"]
}

# The certificate authority. It can be made here, and its key does not leave Vault. Anybody may list
# issuers; a dry run needs leave to do so where nothing is mounted yet.
path "sys/mounts/keyturn-pki" {
  capabilities = ["update"]
}
path "sys/mounts/keyturn-pki/tune" {
  capabilities = ["update"]
}
path "keyturn-pki/issuers" {
  capabilities = ["list"]
}
path "keyturn-pki/root/generate/internal" {
  capabilities = ["update"]
}
path "keyturn-pki/roles/+" {
  capabilities = ["read", "update"]
}

# Vault as the issuer of people's and apps' tokens, with `bootstrap.issuer`.
path "identity/oidc/config" {
  capabilities = ["read", "update"]
}
path "identity/oidc/key/keyturn" {
  capabilities = ["create", "read", "update"]
}
path "identity/oidc/role/keyturn-owner" {
  capabilities = ["create", "read", "update"]
}
path "identity/oidc/role/keyturn-owner-mfa" {
  capabilities = ["create", "read", "update"]
}
path "identity/oidc/role/keyturn-app" {
  capabilities = ["create", "read", "update"]
}
path "sys/auth/keyturn-people" {
  capabilities = ["update", "sudo"]
}
path "sys/auth/keyturn-people-mfa" {
  capabilities = ["update", "sudo"]
}
path "sys/auth/keyturn-people-mfa/tune" {
  capabilities = ["update", "sudo"]
}
path "identity/mfa/method/totp" {
  capabilities = ["list", "update"]
}
path "identity/mfa/method/totp/+" {
  capabilities = ["read", "update"]
}
path "identity/mfa/login-enforcement/keyturn-people-mfa" {
  capabilities = ["read", "update"]
}
path "sys/auth/keyturn-apps" {
  capabilities = ["update", "sudo"]
}
