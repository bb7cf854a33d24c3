"""Seeded patients against the running program: ``python -m bot simulate``."""
