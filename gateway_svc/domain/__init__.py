"""The rules of one relayed request. Pure: no transport, no vendor, no I/O of its own."""
