# A person who logged in: may fetch an ID token that names them and their groups, and give their login back. Nothing else.
path "identity/oidc/token/keyturn-owner" {
  capabilities = ["read"]
}

# Gives its own token back as soon as it has been used.
path "auth/token/revoke-self" {
  capabilities = ["update"]
}
