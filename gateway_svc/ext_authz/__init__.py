"""Lets an Envoy send apps' calls itself: the contract `envoy.service.auth.v3`, in and out."""
