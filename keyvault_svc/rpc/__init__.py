"""The key service's gRPC boundary: convert, call a use case, convert back.

The only place that sees `keyturn.*` messages. Holds two tables that decide: who may call what
(`access_policy`), and which failure is which status (`error_status`).
"""
