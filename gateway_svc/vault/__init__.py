"""The gateway's door to Vault: transit decrypt, and nothing else."""
