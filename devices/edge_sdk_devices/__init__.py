"""Devices: what the SDK knows about a kind of board."""
