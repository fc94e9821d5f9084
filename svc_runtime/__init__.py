"""What any Keyturn process needs to run: identity, transport, logging, Vault login.

Holds no business rule and imports neither service. Re-exports nothing, so that
importing a leaf module (`secret_bytes`, `spiffe_id`) never drags in grpc.
"""
