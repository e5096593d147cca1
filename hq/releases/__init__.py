"""Owns releases to other agencies."""
