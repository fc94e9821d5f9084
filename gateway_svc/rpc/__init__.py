"""The gateway's gRPC surface: convert, relay, convert back."""
