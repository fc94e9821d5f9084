"""Custody of owners' OpenAI keys, and the decision which app may use one.

Owns every sealed key in Vault's KV engine, the grants and the leases. Must never be able
to open a key again: its Vault policy has no decrypt. Never reaches the internet.
"""

from __future__ import annotations

from svc_runtime.grpc_core_log import silence_grpc_core

silence_grpc_core()  # here, because whatever part of the package is imported may import grpc
