"""Owns the access log: append-only, hash-chained."""
