"""Calls to OpenAI with owners' keys, one lease a call.

Sees a key's plaintext from Vault's decrypt until the request headers are written. Must never be
able to read the key store: its Vault policy has decrypt and nothing else. Keeps no key, lease or
grant beyond the request that it serves.
"""
