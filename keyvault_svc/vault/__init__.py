"""The key service's door to Vault: records in KV, sealing by transit, and the set-up of both.

The only place with its mounts and paths. Returns domain types and raises domain errors; what
Vault answered, and what hvac raised, stays inside.
"""
