"""Owns the read-only API and outbound feeds."""
