"""Custody of owners' OpenAI keys, and the decision which app may use one.

Owns every sealed key in Vault's KV engine, the grants and the leases. Must never be able
to open a key again: its Vault policy has no decrypt. Never reaches the internet.
"""
