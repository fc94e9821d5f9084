"""The way to Vault that both services share: login, renewal, the async hvac adapter.

Knows no mount and no path beyond login; each service's own `vault/` package does.
The only importer of hvac outside them.
"""
