"""The rules of custody, consent and leases. Pure: no transport, no vendor, no I/O of its own."""
