# An app that logged in: may fetch a token that names it by its SPIFFE id, and give its login back. Nothing else.
path "identity/oidc/token/keyturn-app" {
  capabilities = ["read"]
}

# Gives its own token back as soon as it has been used.
path "auth/token/revoke-self" {
  capabilities = ["update"]
}
