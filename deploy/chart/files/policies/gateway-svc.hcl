# The gateway: opens a ciphertext that the key service hands over, and can find none by itself.
# Nothing may be added here without an ADR; tests/integration/test_dual_control.py keeps it so.

# Opens the sealed key of one lease. A batch would open many under one line of the audit log.
path "keyturn-transit/decrypt/openai" {
  capabilities      = ["update"]
  denied_parameters = {
    "batch_input" = []
  }
}

# Takes a sealed key that the key service has wrapped. The gateway looks before it takes: anybody who
# holds a wrapping token may ask where it was made (sys/wrapping/lookup), without any policy.
path "sys/wrapping/unwrap" {
  capabilities = ["update"]
}

# Signs the head of this service's audit stream. A batch would sign several heads under one request
# id, of which Vault's audit log would show one.
path "keyturn-transit/sign/audit-gateway-svc" {
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
