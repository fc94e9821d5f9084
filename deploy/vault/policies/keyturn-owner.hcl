# A person who logged in: may fetch an ID token that names them and their groups, nothing else.
path "identity/oidc/token/keyturn-owner" {
  capabilities = ["read"]
}
