"""Generated from protos/ by tools/generate_protos.sh. Never edited."""
