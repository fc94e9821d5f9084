"""The store of what leases reserve and settle."""
