"""What a person types: each command parses, calls the modules beside this package, and prints."""
