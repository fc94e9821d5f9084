# The job that takes every record to a new version of the transit key (`keyvault-svc rewrap`). It
# can list owners, which the key service cannot; it can neither seal nor open a key.
# tests/integration/test_dual_control.py keeps it so.

# All owners, and the names of their keys. Vault ends the path of a list with a slash.
path "keyturn-kv/metadata/users/" {
  capabilities = ["list"]
}
path "keyturn-kv/metadata/teams/" {
  capabilities = ["list"]
}
path "keyturn-kv/metadata/users/+/keys/" {
  capabilities = ["list"]
}
path "keyturn-kv/metadata/teams/+/keys/" {
  capabilities = ["list"]
}

# Writes a record back with what it held, sealed anew; makes none.
path "keyturn-kv/data/users/+/keys/+" {
  capabilities = ["read", "update"]
}
path "keyturn-kv/data/teams/+/keys/+" {
  capabilities = ["read", "update"]
}

# Destroys the versions that held the older ciphertext.
path "keyturn-kv/metadata/users/+/keys/+" {
  capabilities = ["read"]
}
path "keyturn-kv/metadata/teams/+/keys/+" {
  capabilities = ["read"]
}
path "keyturn-kv/destroy/users/+/keys/+" {
  capabilities = ["update"]
}
path "keyturn-kv/destroy/teams/+/keys/+" {
  capabilities = ["update"]
}

# How far it has come.
path "keyturn-kv/data/maintenance/rewrap" {
  capabilities = ["create", "read", "update"]
}
path "keyturn-kv/metadata/maintenance/rewrap" {
  capabilities = ["delete"]
}

# Seals anew without showing the plaintext.
path "keyturn-transit/rewrap/openai" {
  capabilities      = ["update"]
  denied_parameters = {
    "batch_input" = []
  }
}

# The version of the transit key, the next one, and the oldest that still opens; nothing else of it.
path "keyturn-transit/keys/openai" {
  capabilities = ["read"]
}
path "keyturn-transit/keys/openai/rotate" {
  capabilities = ["update"]
}
path "keyturn-transit/keys/openai/config" {
  capabilities       = ["update"]
  allowed_parameters = {
    "min_decryption_version" = []
  }
}

# Its own token, since the AppRole leaves out the default policy.
path "auth/token/lookup-self" {
  capabilities = ["read"]
}
path "auth/token/renew-self" {
  capabilities = ["update"]
}
path "auth/token/revoke-self" {
  capabilities = ["update"]
}
