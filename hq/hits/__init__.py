"""Owns the live board and the verification of hits."""
