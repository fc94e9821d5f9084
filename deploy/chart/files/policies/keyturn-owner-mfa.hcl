# A person who logged in with two factors: may fetch an ID token that says so, and give their login back. Nothing else.
path "identity/oidc/token/keyturn-owner-mfa" {
  capabilities = ["read"]
}

# Gives its own token back as soon as it has been used.
path "auth/token/revoke-self" {
  capabilities = ["update"]
}
