"""Traces and metrics of a service process; both are off until a setting asks for them."""
