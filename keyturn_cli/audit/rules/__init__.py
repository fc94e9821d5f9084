"""The invariants that `keyturn audit verify` holds logs against: one family per file."""
