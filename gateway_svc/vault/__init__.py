"""The gateway's door to Vault: transit decrypt, unwrapping, and nothing else."""
