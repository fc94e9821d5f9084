"""The service's own audit stream: its audited log lines as a chain that Vault signs.

Each line holds the hash of the one before it, and checkpoints sign the chain's head, so that lines
cannot be removed, altered, reordered or cut off unseen. Nothing that a line must tell of happens
before the line is written: `AuditStream.flushed` is awaited first. This package knows no event of a
service and no Vault; the command reads the same format from `chain`.
"""
