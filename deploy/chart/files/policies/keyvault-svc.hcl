# The key service: holds every ciphertext, opens none. There is no decrypt in this file, and
# tests/integration/test_dual_control.py keeps it so. `+` stands for exactly one path segment.

# Records of sealed keys, read once per request. "create" stores a key's first version, "update"
# the next; the mount demands check-and-set for both.
path "keyturn-kv/data/users/+/keys/+" {
  capabilities = ["create", "read", "update"]
}
path "keyturn-kv/data/teams/+/keys/+" {
  capabilities = ["create", "read", "update"]
}

# Rotation and disabling destroy the superseded versions, beyond recovery.
path "keyturn-kv/destroy/users/+/keys/+" {
  capabilities = ["update"]
}
path "keyturn-kv/destroy/teams/+/keys/+" {
  capabilities = ["update"]
}

# "read" tells which versions exist and are to be destroyed; "delete" removes a deleted key whole.
path "keyturn-kv/metadata/users/+/keys/+" {
  capabilities = ["read", "delete"]
}
path "keyturn-kv/metadata/teams/+/keys/+" {
  capabilities = ["read", "delete"]
}

# The names of one owner's keys; Vault ends the path of a list with a slash. Owners themselves
# cannot be listed.
path "keyturn-kv/metadata/users/+/keys/" {
  capabilities = ["list"]
}
path "keyturn-kv/metadata/teams/+/keys/" {
  capabilities = ["list"]
}

# Seals a key at intake. Without "create" a request cannot make another transit key by naming it.
path "keyturn-transit/encrypt/openai" {
  capabilities = ["update"]
}

# The fingerprint that tells whether two intakes brought the same key. Its transit key is never
# rotated: that would change every fingerprint.
path "keyturn-transit/hmac/fingerprint" {
  capabilities = ["update"]
}

# Which keys hold a plaintext, by the hash of its fingerprint; destroyed with the keys.
path "keyturn-kv/data/fingerprints/+" {
  capabilities = ["create", "read", "update"]
}
path "keyturn-kv/destroy/fingerprints/+" {
  capabilities = ["update"]
}
path "keyturn-kv/metadata/fingerprints/+" {
  capabilities = ["read"]
}

# Requests for grants, by the hash of the owner's name; superseded ones are destroyed.
path "keyturn-kv/data/grant-requests/+" {
  capabilities = ["create", "read", "update"]
}
path "keyturn-kv/destroy/grant-requests/+" {
  capabilities = ["update"]
}
path "keyturn-kv/metadata/grant-requests/+" {
  capabilities = ["read", "delete"]
}

# The verifications that gateways have to do, shared by all replicas.
path "keyturn-kv/data/verifications/+" {
  capabilities = ["create", "read", "update"]
}
path "keyturn-kv/metadata/verifications/" {
  capabilities = ["list"]
}
path "keyturn-kv/metadata/verifications/+" {
  capabilities = ["delete"]
}

# What is to be destroyed, and when. Nothing is ever updated there, but to find that something is
# noted already by check-and-set, rather than by a refusal, takes the right to.
path "keyturn-kv/data/retirements/+" {
  capabilities = ["create", "read", "update"]
}
path "keyturn-kv/metadata/retirements/" {
  capabilities = ["list"]
}
path "keyturn-kv/metadata/retirements/+" {
  capabilities = ["delete"]
}

# Which keys can be compared with what OpenAI counted: those whose owners told their id at OpenAI, since
# owners themselves cannot be listed.
path "keyturn-kv/data/reconciled/+" {
  capabilities = ["create", "read", "update"]
}
path "keyturn-kv/metadata/reconciled/" {
  capabilities = ["list"]
}
path "keyturn-kv/metadata/reconciled/+" {
  capabilities = ["delete"]
}

# What operators have stopped, and the limits of single owners: read for every lease. Never deleted:
# without it nothing would be stopped.
path "keyturn-kv/data/operator/controls" {
  capabilities = ["create", "read", "update"]
}

# Hands a sealed key over so that Vault lets it be taken once, and for half a minute at most.
path "sys/wrapping/wrap" {
  capabilities     = ["update"]
  min_wrapping_ttl = "1s"
  max_wrapping_ttl = "30s"
}

# Signs the head of this service's audit stream. A batch would sign several heads under one request
# id, of which Vault's audit log would show one.
path "keyturn-transit/sign/audit-keyvault-svc" {
  capabilities       = ["update"]
  allowed_parameters = {
    "input" = []
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
