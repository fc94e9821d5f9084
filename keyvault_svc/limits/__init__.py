"""The stores of limits: what leases reserve and settle, in a file, or in Redis or Valkey.

Both keep `keyvault_svc.domain.limit_store.LimitStore` alike. What they agree on is in `counters`;
nobody outside of this package imports `redis` or `sqlite3`.
"""
