"""Labelled replies and the report over them."""
