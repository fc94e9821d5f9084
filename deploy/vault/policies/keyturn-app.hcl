# An app that logged in: may fetch a token that names it by its SPIFFE id, nothing else.
path "identity/oidc/token/keyturn-app" {
  capabilities = ["read"]
}
