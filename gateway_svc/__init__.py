"""Calls to OpenAI with owners' keys, one lease a call.

Sees a key's plaintext from Vault's decrypt until the request headers are written. Must never be
able to read the key store: its Vault policy has decrypt and nothing else. Keeps no key, lease or
grant beyond the request that it serves.
"""

from __future__ import annotations

from svc_runtime.grpc_core_log import silence_grpc_core

silence_grpc_core()  # here, because whatever part of the package is imported may import grpc
