"""The gateway's door to the key service. The only place of this service with its messages."""
